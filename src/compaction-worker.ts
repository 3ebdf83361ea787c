/** Entry of the thread that makes one snapshot: wires the database, read only. No logic. */
import { parentPort, workerData } from 'node:worker_threads'
import type { SpaceId } from './core/ids.ts'
import { invariant } from './core/invariant.ts'
import { compacted } from './operations/stored-space.ts'
import { openConnection } from './storage/sqlite/database.ts'
import { createSqliteOpLog } from './storage/sqlite/sqlite-op-log.ts'

invariant(parentPort, 'this file runs as a worker thread')
const { path, space } = workerData as { readonly path: string; readonly space: SpaceId }
const db = openConnection(path)
db.execute('PRAGMA query_only = ON; BEGIN') // one view of all pages, which keeps nobody from writing
const bytes = compacted(createSqliteOpLog(db), space)
db.close()
parentPort.postMessage(bytes, bytes === undefined ? [] : [bytes.buffer as ArrayBuffer])
