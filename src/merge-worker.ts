/** Entry of the worker thread that merges: wires the local disk, the kernels and the strategies. No logic. */
import { parentPort } from 'node:worker_threads'
import { strategies } from '../merge-strategies/index.ts'
import { invariant } from './core/invariant.ts'
import { referenceKernels } from './kernels/reference.ts'
import { serveMerges } from './merging/serve-merges.ts'
import { nodeTileFiles } from './storage/fs/node-tile-files.ts'

invariant(parentPort, 'this file runs as a worker thread')
serveMerges(parentPort, { files: nodeTileFiles, kernels: referenceKernels, strategies })
