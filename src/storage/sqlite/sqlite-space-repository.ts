/** Spaces in SQLite. */
import type { SpaceId } from '../../core/ids.ts'
import type { SpaceRepository, StoredSpace } from '../space-repository.ts'
import type { Database } from './database.ts'

export function createSqliteSpaceRepository(db: Database): SpaceRepository {
  const columns = 'id, name, init, adopted_at_ms AS adoptedAtMs'
  const insert = db.prepare<[StoredSpace]>(`
    INSERT INTO spaces (id, name, init, adopted_at_ms) VALUES (@id, @name, @init, @adoptedAtMs)
    ON CONFLICT (id) DO NOTHING`)
  const select = db.prepare<[SpaceId], StoredSpace>(`SELECT ${columns} FROM spaces WHERE id = ?`)
  const selectByName = db.prepare<[string], StoredSpace>(`SELECT ${columns} FROM spaces WHERE name = ? ORDER BY id`)
  const selectAll = db.prepare<[], StoredSpace>(`SELECT ${columns} FROM spaces ORDER BY name, id`)
  return {
    add: (space) => insert.run(space) === 1,
    find: (id) => select.get(id),
    findByName: (name) => selectByName.all(name),
    list: () => selectAll.all(),
  }
}
