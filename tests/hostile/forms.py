# SPDX-License-Identifier: Apache-2.0
"""How long and how large the attacks are: short ones for each change, long ones for a release
(`TIDINGS_HOSTILE=long`: about three quarters of an hour in all, ten minutes of it fuzzing under
each sanitizer)."""
import os

IS_LONG = os.environ.get("TIDINGS_HOSTILE") == "long"
SECONDS = 20 if IS_LONG else 3
PATIENCE_S = 40  # with an attack of which less than LEAST has come in its time
DEADLINE_S = 3 * (SECONDS + PATIENCE_S + 20)
# A busy machine brings less of an attack, which is no fault of the broker: so much there has to be.
LEAST = 0.6 if IS_LONG else 0.1
CONNECTIONS = 4000 if IS_LONG else 1500
FUZZ_SECONDS = 600 if IS_LONG else 30
