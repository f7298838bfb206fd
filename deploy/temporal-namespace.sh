#!/bin/sh
# Makes the namespace, then ends. TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE come from the environment, and the CLI reads
# them by itself.
set -eu
temporal operator namespace describe >/dev/null 2>&1 || temporal operator namespace create --retention 720h
temporal operator namespace describe >/dev/null
