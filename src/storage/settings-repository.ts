/** Port: a few small facts about this replica, by key: the hashed token, the id of its key. */
export interface SettingsRepository {
  find(key: string): string | undefined
  set(key: string, value: string): void
  remove(key: string): void
}
