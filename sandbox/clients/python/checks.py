"""What the checks share: where the sandbox is, its clients, and a run that tries every check and tells of each that fails."""

import json
import os
import sys
import traceback

from google.api_core import client_options
from google.auth import credentials
from google.cloud import bigquery

with open(os.environ["SANDBOX"], encoding="utf-8") as file:
    ENDPOINTS = json.load(file)

_checks = []


def bigquery_client():
    options = client_options.ClientOptions(api_endpoint=ENDPOINTS["bigquery_rest"])
    return bigquery.Client(project=ENDPOINTS["project"], credentials=credentials.AnonymousCredentials(), client_options=options)


def check(function):
    _checks.append(function)
    return function


def raises(kind, function, *arguments, after=None, **named):
    try:
        result = function(*arguments, **named)
        if after:
            after(result)
    except kind as error:
        return error
    raise AssertionError(f"{function} with {arguments} raised no {kind.__name__}")


def run():
    failed = 0
    only = os.environ.get("ONLY")
    for function in _checks:
        if only and only not in function.__name__:
            continue
        try:
            function()
        except BaseException:
            failed += 1
            print(f"FAIL {function.__name__}", flush=True)
            traceback.print_exc(file=sys.stdout)
        else:
            print(f"ok   {function.__name__}", flush=True)
    sys.exit(1 if failed else 0)
