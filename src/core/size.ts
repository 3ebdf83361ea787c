/** Sizes as people write them: 512MiB, 2GiB, 1.5GB, or plain bytes. */

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 1024,
  MIB: 1024 ** 2,
  GIB: 1024 ** 3,
  TIB: 1024 ** 4,
}

/** What a size may look like, for whoever wrote another. */
export const SIZE_HINT = 'write bytes, or a number with kB, MB, GB, KiB, MiB or GiB, such as 512MiB'

/** In bytes, at least one; undefined where the text is no size. */
export function parseSize(text: string): number | undefined {
  const [, count, unit = ''] = /^([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([A-Za-z]{0,3})$/.exec(text) ?? []
  const factor = Object.hasOwn(UNITS, unit.toUpperCase()) ? UNITS[unit.toUpperCase()] : undefined
  if (count === undefined || factor === undefined) return undefined
  const bytes = Math.floor(Number(count) * factor)
  return bytes >= 1 && Number.isSafeInteger(bytes) ? bytes : undefined
}
