"""Serves a model with the server inside xllamacpp until SIGTERM. Run by the Python that has it.

Arguments: weights, slots, threads, context, batch. Prints the address first.
"""

import os
import signal
import sys

import xllamacpp

weights, *numbers = sys.argv[1:]
slots, threads, context, batch = map(int, numbers)

# Blocked before the server's threads start: they inherit it, and the signal waits for `sigwait`.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
options = xllamacpp.CommonParams()
options.model.path = weights
options.n_parallel = slots
options.cpuparams.n_threads = options.cpuparams_batch.n_threads = threads
options.n_ctx = context
options.n_batch = options.n_ubatch = batch
options.kv_unified = True
options.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
# Reuse within a slot stays on; copies of slots in main memory would only cost time.
options.cache_ram_mib = 0
server = xllamacpp.Server(options)
print(server.listening_address, flush=True)
signal.sigwait([signal.SIGTERM])
os._exit(0)
