import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hex } from '../../src/core/bytes.ts'
import { sha256, sha256Hex } from '../../src/core/digest.ts'
import type { ReplicaId, SpaceId, TensorRoot } from '../../src/core/ids.ts'
import { treeHead } from '../../src/core/merkle.ts'
import { LeafCache } from '../../src/operations/blobs/leaf-cache.ts'
import { createTickets, TICKET_LIFE_MS } from '../../src/operations/blobs/tickets.ts'
import type { FileReading } from '../../src/operations/operations.ts'
import type { BlobStore } from '../../src/storage/blob-store.ts'
import { aWriter } from '../support/ops.ts'
import { refusalOf } from '../support/refusal.ts'
import { aReplica } from '../support/replica.ts'
import { safetensors, streamOf, tinyFile } from '../support/safetensors.ts'

const bytesOf = async (file: FileReading): Promise<Buffer> => {
  const pieces: Uint8Array[] = []
  for await (const piece of file.read(0, file.bytes)) pieces.push(piece)
  return Buffer.concat(pieces)
}
const refused = (code: string) => expect.objectContaining({ code })
const leave = { rid: 'a'.repeat(64) as ReplicaId, space: 'b'.repeat(32) as SpaceId }

test('[XCH-8] a ticket says for whom and for which space, and is over after five minutes', () => {
  const tickets = createTickets(sha256())
  const ticket = tickets.give(leave, 1000)
  expect(tickets.check(ticket, 1000 + TICKET_LIFE_MS - 1)).toEqual(leave)
  expect(refusalOf(() => tickets.check(ticket, 1000 + TICKET_LIFE_MS)).message).toContain('over')
  expect(TICKET_LIFE_MS).toBe(300_000)
})

test('[XCH-8] a ticket of another replica, or with any bit changed, is none', () => {
  const tickets = createTickets(sha256())
  const ticket = tickets.give(leave, 1000)
  expect(refusalOf(() => createTickets(sha256(sha256())).check(ticket, 1000)).code).toBe('UNAUTHORIZED')
  for (const odd of ['', 'x', `${ticket}A`, ticket.slice(1), ticket.slice(0, -4), '!'.repeat(ticket.length)])
    expect(refusalOf(() => tickets.check(odd, 1000)).code).toBe('UNAUTHORIZED')
  const bytes = Buffer.from(ticket, 'base64url')
  fc.assert(
    fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
      const changed = Buffer.from(bytes)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(refusalOf(() => tickets.check(changed.toString('base64url'), 1000)).code).toBe('UNAUTHORIZED')
    }),
    { seed: 1, numRuns: 200 },
  )
})

const twoChunks = safetensors([{ name: 'a', shape: [300_000], values: Array.from({ length: 300_000 }, (_, i) => i) }])

async function withModels() {
  const replica = await aReplica()
  await replica.createSpace({ name: 'open' })
  await replica.createSpace({ name: 'closed', access: 'members' })
  const large = safetensors([{ name: 'a', shape: [700_000], values: Array.from({ length: 700_000 }, (_, i) => i) }])
  const [one, two] = [await replica.uploadModel(streamOf(large)), await replica.uploadModel(streamOf(tinyFile(2)))]
  await replica.contribute('open', { model: one.model, name: 'one' })
  await replica.contribute('closed', { model: two.model, name: 'two' })
  const tensorOf = (model: string) => replica.findModel(model).tensors[0]!
  return { replica, one, two, tensorOf }
}

test('[API-31] a manifest names its model, files their bytes, and leaves hash to the root of their tensor', async () => {
  const { replica, one, two, tensorOf } = await withModels()
  const manifest = await bytesOf(await replica.readBlob('manifest', one.model))
  expect(Buffer.from(replica.storage.models.find(one.model as never)!.manifest).equals(manifest)).toBe(true)
  const tensor = tensorOf(one.model)
  expect((await bytesOf(await replica.readBlob('tensor', tensor.root))).length).toBe(2_800_000)
  const leaves = await bytesOf(await replica.readLeaves(tensor.root))
  const split = [0, 1, 2].map((i) => leaves.subarray(i * 32, (i + 1) * 32))
  expect([leaves.length, hex(treeHead(split))]).toEqual([96, tensor.root])
  expect((await bytesOf(await replica.readLeaves(tensor.root))).equals(leaves)).toBe(true) // kept by now
  const small = tensorOf(two.model)
  expect((await bytesOf(await replica.readLeaves(small.root))).toString('hex')).toBe(small.root)
  const layout = (JSON.parse(manifest.toString()) as { layout: { header: string }[] }).layout[0]!
  const header = await bytesOf(await replica.readBlob('file', layout.header))
  expect(sha256Hex(new Uint8Array(header))).toBe(layout.header)
})

test('[XCH-8] a ticket opens what its space shows, and nothing that only another space shows', async () => {
  const { replica, one, two, tensorOf } = await withModels()
  const ticket = replica.giveTicket('open', aWriter(3).rid)
  const [shown, other] = [tensorOf(one.model), tensorOf(two.model)]
  expect((await replica.readBlob('tensor', shown.root, ticket)).bytes).toBe(shown.bytes)
  expect((await replica.readLeaves(shown.root, ticket)).bytes).toBe(96)
  expect((await replica.readBlob('manifest', one.model, ticket)).bytes).toBeGreaterThan(0)
  for (const attempt of [
    () => replica.readBlob('tensor', other.root, ticket),
    () => replica.readLeaves(other.root, ticket),
    () => replica.readBlob('manifest', two.model, ticket),
    () => replica.readBlob('file', 'f'.repeat(64), ticket),
    () => replica.readBlob('tensor', 'f'.repeat(64)),
    () => replica.readBlob('file', shown.root), // a tensor is no file
  ])
    await expect(attempt()).rejects.toEqual(refused('BLOB_NOT_FOUND'))
  await expect(replica.readBlob('tensor', '../../x', ticket)).rejects.toEqual(refused('ID_INVALID'))
  await expect(replica.readBlob('tensor', shown.root, `${ticket}A`)).rejects.toEqual(refused('UNAUTHORIZED'))

  const { id } = await replica.contribute('open', { model: two.model, name: 'two' })
  expect((await replica.readBlob('tensor', other.root, ticket)).bytes).toBe(other.bytes)
  await replica.retract('open', id)
  await expect(replica.readBlob('tensor', other.root, ticket)).rejects.toEqual(refused('BLOB_NOT_FOUND'))
  replica.tick(TICKET_LIFE_MS)
  await expect(replica.readBlob('tensor', shown.root, ticket)).rejects.toEqual(refused('UNAUTHORIZED'))
})

test('[XCH-8] what several models name is given while one of them is shown and here', async () => {
  const { replica, two, tensorOf } = await withModels()
  const sharing = safetensors([
    ...(['own', 'more'] as const).map((name) => ({ name, shape: [2], values: [5, name.length] })),
    { name: 'a', shape: [700_000], values: Array.from({ length: 700_000 }, (_, i) => i) },
  ])
  const three = await replica.uploadModel(streamOf(sharing))
  const ticket = replica.giveTicket('open', aWriter(3).rid)
  const roots = replica.findModel(three.model).tensors.map(({ name, root }) => [name, root] as const)
  const given = async () => {
    const names: string[] = []
    for (const [name, root] of roots)
      await replica.readBlob('tensor', root, ticket).then(
        () => names.push(name),
        () => undefined,
      )
    return names
  }
  expect(await given()).toEqual(['a']) // the model that is shown has it too
  const { id } = await replica.contribute('open', { model: three.model, name: 'three' })
  expect(await given()).toEqual(['a', 'more', 'own'])
  replica.storage.models.delete(three.model as never)
  expect(await given()).toEqual(['a'])
  await replica.retract('open', id)
  expect([await given(), tensorOf(two.model).bytes > 0]).toEqual([['a'], true])
})

test('[XCH-8] in a members-only space tickets are for members, and end with the membership', async () => {
  const { replica, two, tensorOf } = await withModels()
  const { rid } = aWriter(3)
  expect(refusalOf(() => replica.giveTicket('closed', rid)).code).toBe('NOT_ALLOWED')
  await replica.addMember('closed', { key: rid, role: 'reader' })
  const ticket = replica.giveTicket('closed', rid)
  const { root } = tensorOf(two.model)
  expect((await replica.readBlob('tensor', root, ticket)).bytes).toBeGreaterThan(0)
  await replica.removeMember('closed', rid)
  await expect(replica.readBlob('tensor', root, ticket)).rejects.toEqual(refused('NOT_ALLOWED'))
})

test('[API-31] few tensors are hashed at once, and what was given up makes room', async () => {
  const blobs = {
    async *read() {
      for (;;) yield new Uint8Array(1)
    },
  } as unknown as BlobStore
  const cache = new LeafCache(blobs)
  const rootOf = (i: number) => String(i).repeat(64) as TensorRoot
  const reading = [1, 2, 3, 4].map((i) => cache.read(rootOf(i))[Symbol.asyncIterator]())
  for (const one of reading) await one.next()
  expect(refusalOf(() => cache.read(rootOf(5))).code).toBe('TOO_MANY_REQUESTS')
  await reading[0]!.return?.()
  expect(() => cache.read(rootOf(5))).not.toThrow()
})

test('[API-31] leaves of what came while the replica runs are known, and nothing is read for them', async () => {
  const replica = await aReplica()
  const { blobs } = replica.storage
  const read = blobs.read.bind(blobs)
  const { root } = replica.findModel((await replica.uploadModel(streamOf(twoChunks))).model).tensors[0]!
  let reads = 0
  blobs.read = (...asked) => {
    reads += 1
    return read(...asked)
  }
  const known = await bytesOf(await replica.readLeaves(root))
  expect([known.length, reads]).toEqual([64, 0])
  const again = await aReplica({ storage: replica.storage })
  expect((await bytesOf(await again.readLeaves(root))).equals(known)).toBe(true)
  expect(reads).toBe(1) // another process has to hash it
})
