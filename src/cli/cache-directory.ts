/** Where what may be lost is kept: content roots of files read before, uploads under way. */
import { isAbsolute, join } from 'node:path'
import type { Io } from './io.ts'

/** TRIBUTARY_CACHE, else what XDG says, else ~/.cache. */
export function cacheDirectoryOf({ env, homeDirectory }: Pick<Io, 'env' | 'homeDirectory'>): string {
  const own = env['TRIBUTARY_CACHE']
  if (own !== undefined && own !== '') return own
  const xdg = env['XDG_CACHE_HOME']
  return join(xdg !== undefined && isAbsolute(xdg) ? xdg : join(homeDirectory, '.cache'), 'tributary')
}
