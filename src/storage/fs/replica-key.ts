/** The replica's own key: made at first start, readable by its user alone, durable before it is used. */
import { chmod } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fromUtf8, utf8 } from '../../core/bytes.ts'
import { exportPrivateKey, importPrivateKey, type KeyPair, keyPairFromSeed } from '../../core/signature.ts'
import type { FileSystem } from '../file-system.ts'

const KEY_BYTES_MAX = 4096

export async function openReplicaKey(
  files: FileSystem,
  path: string,
  random: (bytes: number) => Uint8Array,
): Promise<KeyPair> {
  const known = await files.openForReading(path)
  if (known !== undefined) {
    const text = new Uint8Array(Math.min(await known.bytes(), KEY_BYTES_MAX))
    await known.read(text, 0)
    await known.close()
    return importPrivateKey(fromUtf8(text))
  }
  const key = keyPairFromSeed(random(32))
  // under another name first: half a key must never be read as one
  const fresh = `${path}.new`
  await files.remove(fresh)
  const file = await files.createExclusive(fresh)
  await chmod(fresh, 0o600)
  await file.write(utf8(exportPrivateKey(key)), 0)
  await file.sync()
  await file.close()
  await files.rename(fresh, path)
  await files.syncDirectory(dirname(path))
  return key
}
