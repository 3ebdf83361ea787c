/**
 * Preloaded (`--import`) into a run of the built program: keeps beside each of its parts what V8 compiled of it, those of
 * its functions that this run called included. A thread keeps its own when it has done a task.
 * The flags of V8 stay as they are: what it compiled counts for those it was compiled with.
 */
import { syncBuiltinESMExports } from 'node:module'
import v8 from 'node:v8'
import vm from 'node:vm'
import { isMainThread, parentPort } from 'node:worker_threads'
import { keepCompiled } from '../dist/src/parts.js'

const parts = []
vm.Script = class extends vm.Script {
  constructor(code, options) {
    super(code, options)
    parts.push({ script: this, path: options.filename })
  }
}
v8.setFlagsFromString = () => undefined
syncBuiltinESMExports()

const keep = () => {
  for (const { script, path } of parts) keepCompiled(path, script)
}

if (isMainThread) process.on('exit', keep)
else {
  const tell = parentPort.postMessage.bind(parentPort)
  parentPort.postMessage = (reply) => {
    if (reply.kind === 'done') keep()
    tell(reply)
  }
}
