/** Uploads in maps. */
import { compareUtf8 } from '../../core/bytes.ts'
import { invariant } from '../../core/invariant.ts'
import type { Upload, UploadRepository } from '../upload-repository.ts'
import type { Journal } from './journal.ts'

export function createMemoryUploadRepository(journal: Journal): UploadRepository {
  const uploads = journal.map<string, Upload>()
  const unfinished = () => uploads.values().filter(({ model }) => model === undefined)
  return {
    add(upload) {
      invariant(!uploads.has(upload.id), 'an upload is added once')
      uploads.set(upload.id, { ...upload, files: [...upload.files].sort((a, b) => compareUtf8(a.path, b.path)) })
    },
    find: (id) => uploads.get(id),
    advance(id, path, from, to) {
      const upload = uploads.get(id)
      const file = upload?.files.find((one) => one.path === path)
      if (upload === undefined || upload.model !== undefined || file?.offset !== from) return false
      invariant(to >= 0 && to <= file.bytes, 'an offset lies within its file')
      uploads.set(id, { ...upload, files: upload.files.map((one) => (one === file ? { ...one, offset: to } : one)) })
      return true
    },
    finish(id, model) {
      const upload = uploads.get(id)
      if (upload === undefined || upload.model !== undefined) return false
      uploads.set(id, { ...upload, model })
      return true
    },
    expired: (nowMs) =>
      uploads
        .values()
        .filter(({ expiresAtMs }) => expiresAtMs <= nowMs)
        .sort((a, b) => a.expiresAtMs - b.expiresAtMs || compareUtf8(a.id, b.id)),
    temporaries: () => new Set(unfinished().flatMap(({ files }) => files.map(({ temporary }) => temporary))),
    countUnfinished: () => unfinished().length,
    remove: (id) => uploads.delete(id),
  }
}
