/** Settings in SQLite. */
import type { SettingsRepository } from '../settings-repository.ts'
import type { Database } from './database.ts'

export function createSqliteSettingsRepository(db: Database): SettingsRepository {
  const select = db.prepare<[string], { value: string }>('SELECT value FROM settings WHERE key = ?')
  const upsert = db.prepare<[string, string]>(
    'INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  )
  const remove = db.prepare<[string]>('DELETE FROM settings WHERE key = ?')
  return {
    find: (key) => select.get(key)?.value,
    set: (key, value) => void upsert.run(key, value),
    remove: (key) => void remove.run(key),
  }
}
