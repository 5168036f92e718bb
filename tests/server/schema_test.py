#!/usr/bin/env python3
"""Requests made at random from the published OpenAPI document: schema_test.py LOCKSTEP MODEL.gguf [--quick]

Every reply must be as the document says, none may be a 5xx, and requests that it does not allow must be refused.
What one field demands of another is not in the document, so that a refusal of a request it allows is no failure.
Needs the packages schemathesis, openai, groq and gguf.
"""

import os
import subprocess
import sys

from support import Place, Server, Test, main

from cli.support import tiny, write

SECONDS = 60
# An empty value of a query's field is as none, which the document can not say.
SETTINGS = """
[[operations]]
include-method = "GET"
checks.negative_data_rejection.enabled = false
"""


class Schema(Test):
    def test_every_endpoint_is_as_documented(self):
        with Server(model=tiny(), context=256) as server:
            done = subprocess.run(
                [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "--no-color",
                 "--config-file", write("schemathesis.toml", SETTINGS), "run",
                 server.url + "/openapi.json", "--seed", "1", "--max-examples", "20", "--max-time",
                 str(SECONDS // 4 if Place.quick else SECONDS), "--phases", "examples,coverage,fuzzing",
                 "--exclude-checks", "positive_data_acceptance,negative_data_rejection", "--continue-on-failure", "--generation-database", "none"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=Place.folder)
            self.assertEqual(0, done.returncode, done.stdout)
            server.wait_until_running(0, 10)
            self.assertNotRegex(server.log(), r"(?m)^\S+ (error|critical) ")


if __name__ == "__main__":
    main()
