/** Both drivers of every port, held to the same promises. */
import { createNodeFileSystem } from '../../src/storage/fs/node-file-system.ts'
import { openFsBlobStore } from '../../src/storage/fs/fs-blob-store.ts'
import { createMemoryFileSystem } from '../../src/storage/memory/memory-file-system.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { describeBlobStore } from '../contracts/blob-store-contract.ts'
import { describeFacts } from '../contracts/facts-contract.ts'
import { describeFileSystem } from '../contracts/file-system-contract.ts'
import { describeJobRepository } from '../contracts/job-repository-contract.ts'
import { describeOpLog } from '../contracts/op-log-contract.ts'
import { describeReplicas } from '../contracts/replicas-contract.ts'
import { describeTensorResults } from '../contracts/tensor-result-contract.ts'
import { memoryStorage, temporaryStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'

const drivers: readonly [string, () => Promise<Storage>][] = [
  ['sqlite', () => temporaryStorage()],
  ['memory', () => memoryStorage()],
]
for (const [name, open] of drivers) {
  describeFacts(`facts: ${name}`, open)
  describeOpLog(`op log: ${name}`, open)
  describeJobRepository(`jobs: ${name}`, open)
  describeReplicas(`replicas: ${name}`, open)
  describeTensorResults(`tensor results: ${name}`, open)
}

const fileSystems = [
  ['node', async () => ({ files: createNodeFileSystem(), directory: await temporaryDirectory() })],
  [
    'memory',
    async () => {
      const files = createMemoryFileSystem()
      await files.makeDirectory('/data')
      return { files, directory: '/data' }
    },
  ],
] as const
for (const [name, open] of fileSystems) {
  describeFileSystem(`file system: ${name}`, open)
  describeBlobStore(`blobs: ${name}`, async () => {
    const { files, directory } = await open()
    const reopen = () => openFsBlobStore(files, directory)
    return { blobs: await reopen(), reopen }
  })
}
