/** What every OpLog promises. */
import { describe, expect, test } from 'vitest'
import { concat, utf8 } from '../../src/core/bytes.ts'
import type { OpId } from '../../src/core/ids.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { anOp, idOf, spaceOf } from '../support/stored-facts.ts'

export function describeOpLog(name: string, open: () => Promise<Storage>): void {
  describe(name, () => {
    test('[STO-12] an op is given back as it was put, and a known id changes nothing', async () => {
      const { ops } = await open()
      const op = anOp({ bytes: utf8('bytes'), signature: new Uint8Array(64).fill(9) })
      expect(ops.append(op)).toBe(true)
      expect(ops.append({ ...op, signature: new Uint8Array(64).fill(1) })).toBe(false)
      expect(ops.find(op.id)).toEqual(op)
      expect(ops.find(idOf('unknown'))).toBeUndefined()
      expect(ops.count()).toBe(1)
    })

    test('[STO-12] what fell out behind a fork is gone, and may come again', async () => {
      const { ops, transact } = await open()
      const [left, stays] = [anOp({ id: idOf('left') }), anOp({ id: idOf('stays') })]
      for (const op of [left, stays]) ops.append(op)
      transact(() => ops.remove([left.id, idOf('unknown')]))
      expect([ops.find(left.id), ops.find(stays.id)]).toEqual([undefined, stays])
      expect(ops.append(left)).toBe(true)
    })

    test('[STO-12] bytes that the caller writes over later stay as they were put', async () => {
      const { ops } = await open()
      const bytes = utf8('first')
      ops.append(anOp({ bytes }))
      bytes.fill(0)
      expect(ops.find(idOf('op'))?.bytes).toEqual(utf8('first'))
    })

    test('[STO-13] ops of a space come in (hlc, id) order, whatever order they were put in', async () => {
      const [a, b, c] = ['a', 'b', 'c'].map((word) => anOp({ id: idOf(word), hlc: word === 'c' ? 1 : 2 }))
      const expected = [c!, ...[a!, b!].sort((x, y) => (x.id < y.id ? -1 : 1))]
      for (const order of [
        [a, b, c],
        [c, b, a],
        [b, a, c],
      ]) {
        const { ops } = await open()
        for (const op of order) ops.append(op!)
        ops.append(anOp({ id: idOf('elsewhere'), space: spaceOf('other') }))
        expect(ops.forSpace(spaceOf('space'))).toEqual(expected)
        expect(ops.idsOfSpace(spaceOf('space'))).toEqual(expected.map(({ id }) => id).sort())
        expect([ops.countBySpace(spaceOf('space')), ops.countBySpace(spaceOf('none')), ops.count()]).toEqual([3, 0, 4])
      }
    })

    test('[STO-13] pages hold the same ops in the same order, signature and bytes as they lie', async () => {
      const { ops, transact } = await open()
      expect([...ops.pagesOfSpace(spaceOf('space'))]).toEqual([])
      const put = Array.from({ length: 4100 }, (_, i) =>
        anOp({ id: idOf(`${i}`), hlc: i % 7, bytes: new Uint8Array(i % 5).fill(i % 256) }),
      )
      transact(() => put.forEach((op) => ops.append(op)))
      ops.append(anOp({ id: idOf('elsewhere'), space: spaceOf('other') }))
      const read = [...ops.pagesOfSpace(spaceOf('space'))].flatMap(({ ids, records, ends }) =>
        ids.map((id, i) => ({ id, record: records.slice(ends[i - 1] ?? 0, ends[i]) })),
      )
      const expected = ops.forSpace(spaceOf('space'))
      expect(read.map(({ id }) => id)).toEqual(expected.map(({ id }) => id))
      expect(concat(...read.map(({ record }) => record))).toEqual(
        concat(...expected.flatMap(({ signature, bytes }) => [signature, bytes])),
      )
    })

    test('[STO-14] a head tells where an author goes on in one space, generation and epoch', async () => {
      const { ops } = await open()
      const head = (g: number, ep: number) => ops.head(spaceOf('space'), g, idOf('replica'), ep)
      expect(head(0, 0)).toEqual({ nextSeq: 0, lastId: undefined, lastHlc: 0 })
      ops.append(anOp({ id: idOf('1'), seq: 1, hlc: 20 }))
      ops.append(anOp({ id: idOf('0'), seq: 0, hlc: 30 }))
      ops.append(anOp({ id: idOf('later epoch'), ep: 1, seq: 0, hlc: 40 }))
      ops.append(anOp({ id: idOf('other author'), rid: idOf('other'), seq: 5 }))
      ops.append(anOp({ id: idOf('other generation'), g: 1, seq: 6 }))
      expect(head(0, 0)).toEqual({ nextSeq: 2, lastId: idOf('1'), lastHlc: 20 })
      expect(head(0, 1)).toEqual({ nextSeq: 1, lastId: idOf('later epoch'), lastHlc: 40 })
    })

    test('[STO-14] both sides of a fork stand in one slot', async () => {
      const { ops } = await open()
      const ids = [idOf<OpId>('left'), idOf<OpId>('right')].sort()
      for (const id of ids) ops.append(anOp({ id, seq: 3 }))
      expect(ops.inSlot(spaceOf('space'), 0, idOf('replica'), 0, 3).map(({ id }) => id)).toEqual(ids)
      expect(ops.inSlot(spaceOf('space'), 0, idOf('replica'), 0, 2)).toEqual([])
      expect(ops.head(spaceOf('space'), 0, idOf('replica'), 0).lastId).toBe(ids[0])
    })
  })
}
