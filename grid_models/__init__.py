"""Networks, their power flow, and what it says about limits.  The only package that knows pandapower."""

import os

# Read by scipy's BLAS when it is loaded.  Its threads cost hundreds of times more than the small matrices of a feeder give them
# to do, and how they share the work must not decide the last digit of a result.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
