"""Serves a model with the server inside xllamacpp, an independent peer, until SIGTERM.

Arguments: the weights. Prints the address first. Run by a Python that has xllamacpp.
"""

import os
import signal
import sys

import xllamacpp

# Blocked before the server's threads start: they inherit it, and the signal waits for `sigwait`.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
options = xllamacpp.CommonParams()
options.model.path = sys.argv[1]
options.n_parallel = 4
options.n_ctx = 8192
options.kv_unified = True
options.use_jinja = True
options.cache_ram_mib = 0
server = xllamacpp.Server(options)
print(server.listening_address, flush=True)
signal.sigwait([signal.SIGTERM])
os._exit(0)
