/** What was fetched for whom, in SQLite. */
import type { ModelId, SpaceId } from '../../core/ids.ts'
import type { Fetched, FetchedRepository } from '../fetched-repository.ts'
import type { Database } from './database.ts'

export function createSqliteFetchedRepository(db: Database): FetchedRepository {
  const insert = db.prepare<[Fetched]>('INSERT INTO fetched (model, space, bytes) VALUES (@model, @space, @bytes)')
  const select = db.prepare<[ModelId], Fetched>('SELECT model, space, bytes FROM fetched WHERE model = ?')
  const remove = db.prepare<[ModelId]>('DELETE FROM fetched WHERE model = ?')
  const begin = db.prepare<[SpaceId]>(
    'INSERT INTO fetched_of_spaces (space, bytes) VALUES (?, 0) ON CONFLICT DO NOTHING',
  )
  const add = db.prepare<[number, SpaceId]>('UPDATE fetched_of_spaces SET bytes = bytes + ? WHERE space = ?')
  const forget = db.prepare<[]>('DELETE FROM fetched_of_spaces WHERE bytes = 0')
  type Sum = { readonly space: SpaceId; readonly bytes: number }
  const selectSum = db.prepare<[SpaceId], Sum>('SELECT space, bytes FROM fetched_of_spaces WHERE space = ?')
  const selectSums = db.prepare<[], Sum>('SELECT space, bytes FROM fetched_of_spaces ORDER BY bytes DESC, space')

  function takeOut(model: ModelId): boolean {
    const known = select.get(model)
    if (known === undefined) return false
    remove.run(model)
    add.run(-known.bytes, known.space)
    return true
  }
  return {
    put: (fetched) =>
      db.lightly(() =>
        db.transact(() => {
          takeOut(fetched.model)
          insert.run(fetched)
          begin.run(fetched.space)
          add.run(fetched.bytes, fetched.space)
          forget.run()
        }),
      ),
    find: (model) => select.get(model),
    remove: (model) =>
      db.transact(() => {
        const wasThere = takeOut(model)
        if (wasThere) forget.run()
        return wasThere
      }),
    bytesOf: (space) => selectSum.get(space)?.bytes ?? 0,
    spaces: () => selectSums.all(),
  }
}
