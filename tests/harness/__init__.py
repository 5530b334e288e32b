# SPDX-License-Identifier: Apache-2.0
"""What tests from outside share: the broker as a process, and clients that hide nothing."""
