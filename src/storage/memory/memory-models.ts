/** Models and pins in maps. They share state, because a stored model is one of the reasons to keep a blob. */
import { compareHex } from '../../core/bytes.ts'
import type { ModelId } from '../../core/ids.ts'
import type { BlobName } from '../blob-store.ts'
import type { ModelRepository, ModelSummary, StoredModel } from '../model-repository.ts'
import { type PinRepository, holderKey } from '../pin-repository.ts'
import type { Journal } from './journal.ts'

const DAMAGED = 'damaged:'

type Target = BlobName | { readonly kind: 'model'; readonly digest: ModelId }
const keyOf = ({ kind, digest }: Target) => `${kind}:${digest}`

const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
const distinct = <T extends Target>(targets: readonly T[]): T[] =>
  [...new Map(targets.map((target) => [keyOf(target), target])).values()].sort((a, b) =>
    compareText(keyOf(a), keyOf(b)),
  )
const byAge = (a: ModelSummary, b: ModelSummary) => a.createdAtMs - b.createdAtMs || compareHex(a.id, b.id)

export function createMemoryModels(journal: Journal): { models: ModelRepository; pins: PinRepository } {
  const stored = journal.map<ModelId, { readonly model: StoredModel; readonly blobs: readonly BlobName[] }>()
  const held = journal.map<string, readonly Target[]>()
  const orphans = journal.map<string, number>()

  const summaries = (): ModelSummary[] =>
    stored.values().map(({ model: { id, content, createdAtMs } }) => ({ id, content, createdAtMs }))

  const models: ModelRepository = {
    put(model, blobs) {
      orphans.delete(keyOf({ kind: 'model', digest: model.id }))
      if (stored.has(model.id)) return false
      stored.set(model.id, { model: { ...model, manifest: model.manifest.slice() }, blobs: distinct(blobs) })
      for (const blob of blobs) orphans.delete(keyOf(blob))
      return true
    },
    find: (id) => stored.get(id)?.model,
    has: (id) => stored.has(id),
    findByIdPrefix: (prefix) =>
      summaries()
        .filter(({ id }) => id.startsWith(prefix))
        .sort((a, b) => compareHex(a.id, b.id)),
    findByContent: (prefix) =>
      summaries()
        .filter(({ content }) => content.startsWith(prefix))
        .sort((a, b) => compareHex(a.content, b.content) || byAge(a, b)),
    blobs: (id) => stored.get(id)?.blobs ?? [],
    naming: (blob) =>
      stored
        .entries()
        .filter(([, { blobs }]) => blobs.some((one) => keyOf(one) === keyOf(blob)))
        .map(([id]) => id)
        .sort(compareHex),
    list: ({ limit, after }) =>
      summaries()
        .sort(byAge)
        .filter((model) => after === undefined || byAge(model, after) > 0)
        .slice(0, limit),
    count: () => stored.size,
    delete(id) {
      orphans.delete(keyOf({ kind: 'model', digest: id }))
      return stored.delete(id)
    },
  }

  const isPinned = (target: Target) =>
    held.values().some((targets) => targets.some((item) => keyOf(item) === keyOf(target)))
  const isNamed = (blob: BlobName) =>
    isPinned(blob) || stored.values().some(({ blobs }) => blobs.some((item) => keyOf(item) === keyOf(blob)))
  const isPinnedModel = (id: ModelId) => isPinned({ kind: 'model', digest: id })

  const pins: PinRepository = {
    hold(holder, { models: ids = [], blobs = [] }) {
      const added: readonly Target[] = [...ids.map((digest) => ({ kind: 'model' as const, digest })), ...blobs]
      held.set(holderKey(holder), distinct([...(held.get(holderKey(holder)) ?? []), ...added]))
      for (const target of added) orphans.delete(keyOf(target))
    },
    release: (holder) => void held.delete(holderKey(holder)),
    heldBy(holder) {
      const targets = held.get(holderKey(holder)) ?? []
      return {
        models: targets.flatMap((target) => (target.kind === 'model' ? [target.digest] : [])),
        blobs: targets.flatMap((target) => (target.kind === 'model' ? [] : [target])),
      }
    },
    damaged: () =>
      held
        .entries()
        .flatMap(([holder]) => (holder.startsWith(DAMAGED) ? [holder.slice(DAMAGED.length) as ModelId] : []))
        .sort(compareText),
    holdersOf: (id) =>
      held
        .entries()
        .filter(([, targets]) => targets.some((target) => target.kind === 'model' && target.digest === id))
        .map(([holder]) => holder)
        .sort(compareText),
    isNamed,
    claim(blobs) {
      for (const blob of blobs) orphans.delete(keyOf(blob))
    },
    markOrphanModels(nowMs) {
      for (const { id } of summaries()) {
        const key = keyOf({ kind: 'model', digest: id })
        if (!isPinnedModel(id) && !orphans.has(key)) orphans.set(key, nowMs)
      }
    },
    markOrphanBlob(blob, nowMs) {
      if (isNamed(blob)) return undefined
      const since = orphans.get(keyOf(blob)) ?? nowMs
      orphans.set(keyOf(blob), since)
      return since
    },
    orphanModels: (sinceMs) =>
      summaries()
        .map(({ id }) => id)
        .filter((id) => !isPinnedModel(id))
        .filter((id) => (orphans.get(keyOf({ kind: 'model', digest: id })) ?? Infinity) <= sinceMs)
        .sort(compareHex),
    blobOrphanedSince: (blob) => (isNamed(blob) ? undefined : orphans.get(keyOf(blob))),
  }
  return { models, pins }
}
