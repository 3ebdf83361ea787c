/** Composition root of the command line: hands it the process and the rest of the program. Loads nothing before it is needed. */
import { homedir } from 'node:os'
import { cacheDirectoryOf } from './cli/cache-directory.ts'
import type { Toolbox } from './cli/command.ts'
import { processIo } from './cli/io.ts'
import { runCli } from './cli/program.ts'
import type { MergeThread } from './merging/merge-thread.ts'

const io = processIo(process, homedir())

/** `early`: a thread that merges, started already. */
const toolbox = (early?: MergeThread): Toolbox => ({
  startReplica: async (config, log) =>
    (await import('./replica.ts')).startReplica(config, { ...(log !== undefined && { log }) }),
  startCuttable: async (config) => {
    const [{ startReplica }, { createPartition }] = await Promise.all([
      import('./replica.ts'),
      import('./transport/partition.ts'),
    ])
    const partition = createPartition()
    const replica = await startReplica(config, { between: partition })
    return { url: replica.url, key: replica.key, stop: () => replica.stop(), cut: partition.cut, heal: partition.heal }
  },
  openLocal: async ({ useDigestCache, ...flags }) => {
    const [{ createMerger }, { makeResources }] = await Promise.all([import('./merger.ts'), import('./config.ts')])
    const merger = await createMerger(makeResources(flags, io.env), early)
    const { openLocal } = await import('./local.ts')
    return openLocal({ ...(useDigestCache && { cacheDirectory: cacheDirectoryOf(io) }), merger })
  },
  strategies: async () => {
    const [{ strategies }, { strategyView }] = await Promise.all([
      import('../merge-strategies/index.ts'),
      import('./operations/strategies.ts'),
    ])
    return strategies.map(strategyView)
  },
})

/** Answers the exit code. */
export const run = (argv: readonly string[], early?: MergeThread): Promise<number> => runCli(argv, io, toolbox(early))
