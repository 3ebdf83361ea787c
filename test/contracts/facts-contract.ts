/** What every Storage promises of its smaller repositories and of `transact`. */
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../src/core/bytes.ts'
import type { ContributionId, FileDigest, MergeId, ModelId, Name, ReplicaId } from '../../src/core/ids.ts'
import type { BlobName } from '../../src/storage/blob-store.ts'
import type { StoredReceipt } from '../../src/storage/receipt-repository.ts'
import type { StoredSpace } from '../../src/storage/space-repository.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { aModel, anOp, idOf, spaceOf } from '../support/stored-facts.ts'

const tensor = (word: string): BlobName => ({ kind: 'tensor', digest: idOf(word) })
const file = (word: string): BlobName => ({ kind: 'file', digest: idOf(word) })

export function describeFacts(name: string, open: () => Promise<Storage>): void {
  describe(name, () => {
    test('[STO-19] a model is found by id, by content, and by the beginning of either', async () => {
      const { models } = await open()
      const first = aModel({ id: idOf('1'), content: idOf('shared'), createdAtMs: 2, manifest: utf8('{"a":1}') })
      const second = aModel({ id: idOf('2'), content: idOf('shared'), createdAtMs: 1 })
      expect(models.put(first, [tensor('t'), file('f'), tensor('t')])).toBe(true)
      expect(models.put({ ...first, createdAtMs: 9 }, [])).toBe(false)
      models.put(second, [])
      const summary = { id: first.id, content: first.content, createdAtMs: 2 }
      expect(models.find(first.id)).toEqual(first)
      expect(models.findByIdPrefix(first.id.slice(0, 20))).toEqual([summary])
      expect(models.findByContent(idOf('shared')).map(({ id }) => id)).toEqual([second.id, first.id])
      expect(models.findByContent(idOf('shared').slice(0, 12))).toHaveLength(2)
      expect(models.findByContent(idOf('none'))).toEqual([])
      expect(models.blobs(first.id)).toEqual([file('f'), tensor('t')])
      expect([models.has(first.id), models.has(idOf('none'))]).toEqual([true, false])
      models.put(aModel({ id: idOf('3'), content: idOf('c'), createdAtMs: 0 }), [file('t'), file('f')])
      expect(models.naming(file('f'))).toEqual([first.id, idOf('3')].sort())
      expect([models.naming(tensor('t')), models.naming(file('g'))]).toEqual([[first.id], []])
      expect(models.delete(idOf('3'))).toBe(true)
      expect(models.list({ limit: 1 }).map(({ id }) => id)).toEqual([second.id])
      expect(models.list({ limit: 5, after: models.list({ limit: 1 })[0] })).toEqual([summary])
      expect([models.delete(first.id), models.delete(first.id), models.count()]).toEqual([true, false, 1])
      expect([models.find(first.id), models.has(first.id), models.blobs(first.id)]).toEqual([undefined, false, []])
      expect(models.naming(tensor('t'))).toEqual([])
    })

    test('[STO-20] a space is found by id and by name, and a name may be held twice', async () => {
      const { spaces } = await open()
      const aSpace = (word: string, called: string): StoredSpace => ({
        id: spaceOf(word),
        name: called as Name,
        init: idOf(word),
        adoptedAtMs: 1,
      })
      const [one, two, other] = [aSpace('1', 'vision'), aSpace('2', 'vision'), aSpace('3', 'Audio')]
      expect([one, two, other].map((space) => spaces.add(space))).toEqual([true, true, true])
      expect(spaces.add({ ...one, name: 'renamed' as Name })).toBe(false)
      expect(spaces.find(one.id)).toEqual(one)
      const both = [one, two].sort((a, b) => (a.id < b.id ? -1 : 1))
      expect(spaces.findByName('vision')).toEqual(both)
      expect(spaces.findByName('Vision')).toEqual([])
      expect(spaces.list()).toEqual([other, ...both])
    })

    test('[STO-21] the first receipt of a merge stands', async () => {
      const { receipts } = await open()
      const receipt: StoredReceipt = {
        merge: idOf('merge'),
        statement: utf8('statement'),
        statementId: idOf('s'),
        about: utf8('about'),
        aboutId: idOf('a'),
        createdAtMs: 1,
      }
      expect(receipts.put(receipt)).toEqual(receipt)
      expect(receipts.put({ ...receipt, statementId: idOf('other'), createdAtMs: 2 })).toEqual(receipt)
      expect(receipts.find(idOf('merge'))).toEqual(receipt)
      expect(receipts.findByStatement(idOf('s'))).toEqual(receipt)
      expect(receipts.findByStatement(idOf('other'))).toBeUndefined()
      expect(receipts.count()).toBe(1)
    })

    test('[STO-22] an upload moves on only from the offset that the writer knew', async () => {
      const { uploads } = await open()
      const upload = {
        id: 'u1',
        createdAtMs: 1,
        expiresAtMs: 100,
        files: [
          { path: 'a.json', bytes: 10, sha256: idOf<FileDigest>('a'), offset: 0, temporary: '01' },
          { path: 'b', bytes: 20, offset: 5, temporary: '02' },
        ],
      }
      uploads.add({ ...upload, files: upload.files.toReversed() })
      expect(uploads.find('u1')).toEqual(upload)
      expect(uploads.advance('u1', 'b', 4, 9)).toBe(false)
      expect(uploads.advance('u1', 'b', 5, 9)).toBe(true)
      expect(uploads.advance('u1', 'b', 5, 9)).toBe(false)
      expect(() => uploads.advance('u1', 'b', 9, 21)).toThrow()
      expect(uploads.find('u1')?.files[1]).toEqual({ path: 'b', bytes: 20, offset: 9, temporary: '02' })
      expect([uploads.temporaries(), uploads.countUnfinished()]).toEqual([new Set(['01', '02']), 1])
      expect([uploads.finish('u1', idOf('m')), uploads.finish('u1', idOf('n'))]).toEqual([true, false])
      expect(uploads.find('u1')?.model).toBe(idOf('m'))
      expect(uploads.advance('u1', 'b', 9, 10)).toBe(false)
      expect([uploads.temporaries(), uploads.countUnfinished()]).toEqual([new Set(), 0])
      expect([uploads.expired(99), uploads.expired(100).map(({ id }) => id)]).toEqual([[], ['u1']])
      expect([uploads.remove('u1'), uploads.remove('u1'), uploads.find('u1')]).toEqual([true, false, undefined])
    })

    test('[STO-23] a setting is the last one set', async () => {
      const { settings } = await open()
      expect(settings.find('k')).toBeUndefined()
      settings.set('k', '1')
      settings.set('k', '2')
      expect(settings.find('k')).toBe('2')
      settings.remove('k')
      expect(settings.find('k')).toBeUndefined()
    })

    test('[STO-34] a space has one snapshot, the last one put, until it is removed', async () => {
      const { snapshots } = await open()
      const [here, there] = [spaceOf('here'), spaceOf('there')]
      expect(snapshots.find(here)).toBeUndefined()
      snapshots.put(here, Uint8Array.of(1))
      snapshots.put(here, Uint8Array.of(2, 3))
      snapshots.put(there, Uint8Array.of(4))
      snapshots.remove(there)
      expect([snapshots.find(here), snapshots.find(there)]).toEqual([Uint8Array.of(2, 3), undefined])
    })

    test('[STO-24] whoever holds a model or a blob keeps it, and several may', async () => {
      const { pins, models } = await open()
      const [space, id] = [spaceOf('s'), idOf<ContributionId>('contribution')]
      models.put(aModel(), [tensor('t')])
      pins.hold({ kind: 'contribution', space, id }, { models: [idOf('model')] })
      pins.hold({ kind: 'contribution', space, id }, { models: [idOf('model'), idOf('second')] })
      pins.hold({ kind: 'base', space }, { models: [idOf('model')], blobs: [file('f')] })
      expect(pins.holdersOf(idOf('model'))).toEqual([`base:${space}`, `contribution:${space}/${idOf('contribution')}`])
      expect(pins.heldBy({ kind: 'contribution', space, id }).models).toEqual([idOf('model'), idOf('second')].sort())
      expect([tensor('t'), file('f'), file('t')].map((blob) => pins.isNamed(blob))).toEqual([true, true, false])
      pins.release({ kind: 'base', space })
      expect([pins.isNamed(file('f')), pins.holdersOf(idOf('model')).length]).toEqual([false, 1])
      expect(pins.heldBy({ kind: 'base', space })).toEqual({ models: [], blobs: [] })
      const [first, second] = [idOf<ModelId>('model'), idOf<ModelId>('second')].sort()
      for (const id of [second!, first!]) pins.hold({ kind: 'damaged', id }, { blobs: [file('g'), tensor('g')] })
      expect(pins.damaged()).toEqual([first, second])
      pins.release({ kind: 'damaged', id: first! })
      expect(pins.damaged()).toEqual([second])
      models.delete(idOf('model'))
      expect(pins.isNamed(tensor('t'))).toBe(false)
    })

    test('[STO-25] a model that nobody holds is an orphan from when it is first seen, until it is held or put again', async () => {
      const { pins, models } = await open()
      const output = { kind: 'output', id: idOf<MergeId>('merge') } as const
      models.put(aModel(), [])
      pins.markOrphanModels(10)
      pins.markOrphanModels(20)
      expect([pins.orphanModels(9), pins.orphanModels(10)]).toEqual([[], [idOf('model')]])
      pins.hold(output, { models: [idOf('model')] })
      pins.markOrphanModels(30)
      expect(pins.orphanModels(100)).toEqual([])
      pins.release(output)
      pins.markOrphanModels(40)
      expect([pins.orphanModels(39), pins.orphanModels(40)]).toEqual([[], [idOf('model')]])
      models.put(aModel(), [])
      expect(pins.orphanModels(100)).toEqual([])
    })

    test('[STO-25] a blob that nothing names is an orphan from when it is first seen, until it is named or claimed', async () => {
      const { pins, models } = await open()
      const blob = tensor('t')
      expect(pins.blobOrphanedSince(blob)).toBeUndefined()
      expect([pins.markOrphanBlob(blob, 10), pins.markOrphanBlob(blob, 20)]).toEqual([10, 10])
      pins.claim([blob])
      expect(pins.blobOrphanedSince(blob)).toBeUndefined()
      expect(pins.markOrphanBlob(blob, 30)).toBe(30)
      models.put(aModel(), [blob])
      expect([pins.markOrphanBlob(blob, 40), pins.blobOrphanedSince(blob)]).toEqual([undefined, undefined])
      models.delete(idOf('model'))
      expect(pins.markOrphanBlob(blob, 50)).toBe(50)
      pins.hold({ kind: 'job', id: idOf('merge') }, { blobs: [blob] })
      pins.release({ kind: 'job', id: idOf('merge') })
      expect(pins.markOrphanBlob(blob, 60)).toBe(60)
    })

    test('[DUR-1] a transaction that throws leaves nothing, in any repository', async () => {
      const { transact, ops, settings, models, pins, uploads } = await open()
      settings.set('before', 'kept')
      const work = () =>
        transact(() => {
          ops.append(anOp())
          settings.set('before', 'changed')
          settings.remove('before')
          models.put(aModel(), [tensor('t')])
          pins.hold({ kind: 'base', space: spaceOf('s') }, { models: [idOf('model')] })
          uploads.add({ id: 'u', createdAtMs: 1, expiresAtMs: 2, files: [] })
          throw new Error('no')
        })
      expect(work).toThrow('no')
      expect([ops.count(), settings.find('before'), models.count(), uploads.find('u')]).toEqual([
        0,
        'kept',
        0,
        undefined,
      ])
      expect([pins.holdersOf(idOf('model')), pins.isNamed(tensor('t'))]).toEqual([[], false])
    })

    test('[DUR-2] a transaction inside another is part of it', async () => {
      const { transact, settings } = await open()
      expect(() =>
        transact(() => {
          transact(() => settings.set('inner', '1'))
          throw new Error('outer')
        }),
      ).toThrow('outer')
      expect(settings.find('inner')).toBeUndefined()
      const answer = transact(() => {
        settings.set('outer', '1')
        expect(() =>
          transact(() => {
            settings.set('outer', '2')
            throw new Error('inner')
          }),
        ).toThrow('inner')
        return settings.find('outer')
      })
      expect([answer, settings.find('outer')]).toEqual(['1', '1'])
    })

    test('[DUR-3] a transaction that would wait is refused by the compiler, and when it runs', async () => {
      const { transact, settings } = await open()
      const later = async () => {
        settings.set('k', 'half')
      }
      // @ts-expect-error work that answers a promise would be committed before it is done
      expect(() => transact(later)).toThrow('synchronous')
      // @ts-expect-error and so would work that may answer one
      expect(() => transact((): number | Promise<void> => later())).toThrow('synchronous')
      expect(settings.find('k')).toBeUndefined()
      expect(transact(() => 5)).toBe(5)
    })

    test('[DUR-4] an unclean start begins a new epoch, a clean stop does not', async () => {
      const { lease, transact } = await open()
      const rid = idOf<ReplicaId>('replica')
      expect([lease.boot(rid, 'a'), lease.boot(rid, 'b')]).toEqual([0, 1])
      lease.markClean(rid)
      expect([lease.boot(rid, 'c'), lease.boot(rid, 'd'), lease.boot(idOf('other'), 'e')]).toEqual([1, 2, 0])
      expect(() => transact(() => lease.boot(rid, 'f'))).toThrow('by itself')
    })

    test('[DUR-14] an epoch that others know of is left behind for good, and never gone back to', async () => {
      const { lease, transact } = await open()
      const rid = idOf<ReplicaId>('replica')
      lease.boot(rid, 'a')
      expect([lease.raise(rid, 6), lease.raise(rid, 3), lease.raise(rid, 6)]).toEqual([7, 7, 7])
      expect(() => transact(() => lease.raise(rid, 9))).toThrow('by itself')
      lease.markClean(rid)
      expect(lease.boot(rid, 'b')).toBe(7)
    })
  })
}
