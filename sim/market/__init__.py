"""Markets: a problem (offers on a tree of limits), policies that clear it, and a certificate that checks them.

``problem`` the nouns · ``policies`` one module each · ``certificate`` what a clearing promises, checked from its numbers ·
``programme`` curves cleared by linear programmes · ``adders`` prices by trial · ``wire_form`` one market from an
``aggregate`` message.
"""
