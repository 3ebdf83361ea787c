/** Entry of the worker thread that merges: wires the local disk, the kernels and the strategies. No logic. */
import { parentPort } from 'node:worker_threads'
import { strategies } from '../merge-strategies/index.ts'
import { kernelChoice } from './config.ts'
import { invariant } from './core/invariant.ts'
import { chooseKernels } from './kernels/choose-kernels.ts'
import { serveMerges } from './merging/serve-merges.ts'
import { nodeTileFiles } from './storage/fs/node-tile-files.ts'

invariant(parentPort, 'this file runs as a worker thread')
const kernels = chooseKernels(kernelChoice(process.env), (what) => process.emitWarning(what))
serveMerges(parentPort, { files: nodeTileFiles, kernels, strategies })
