"""Policies of regulators, utilities and platforms: rules as data, that change without a change of code.

A policy permits or forbids by conditions on facts, or says by a formula what is owed.  Four levels stand above each
other (national, state, utility, platform), and a lower one may only tighten: all that are in force have to agree, so
whoever forbids prevails.  What is undefined is denied: a condition whose fact is missing, and an authorization that has
lapsed.

A ``PolicyBook`` holds every version there has been.  Which ones bind a contract is written down when it is confirmed
(``pin``), by name, version and hash; versions that come later do not touch it.  ``facts`` says what policies may ask
about, ``reader`` how they are written.
"""

from __future__ import annotations

from sim.contracts.policies.book import Pin, Pins, PolicyBook
from sim.contracts.policies.facts import FIELDS, Fact, Facts, Measure, Quantity, Vocabulary
from sim.contracts.policies.policy import Decision, Effect, Hook, Level, Policy, PolicyType, Violation
from sim.contracts.policies.reader import read_policies, read_policy, schema

__all__ = [
    "FIELDS",
    "Decision",
    "Effect",
    "Fact",
    "Facts",
    "Hook",
    "Level",
    "Measure",
    "Pin",
    "Pins",
    "Policy",
    "PolicyBook",
    "PolicyType",
    "Quantity",
    "Violation",
    "Vocabulary",
    "read_policies",
    "read_policy",
    "schema",
]
