/** A cut between one replica and all others that can be switched: a wrapper around dialer and listener. For demos and drills. */
import { TributaryError } from '../core/errors.ts'
import { CLOSE, type Dialer, type Link, type Listener } from './transport.ts'

/** What stands between a replica and its network. */
export interface Between {
  dialer(inner: Dialer): Dialer
  listener(inner: Listener): Listener
}

export interface Partition extends Between {
  readonly cut: () => void
  readonly heal: () => void
}

/** Nothing. */
export const DIRECT: Between = { dialer: (inner) => inner, listener: (inner) => inner }

export function createPartition(): Partition {
  const links = new Set<Link>()
  let isCut = false
  const end = (link: Link) => link.close(CLOSE.goingAway, 'cut off on purpose')
  const refused = () => new TributaryError('NETWORK', 'this replica is cut off on purpose')

  /** Answers the link that is handed on: it is known here until it ends. */
  const known = (inner: Link): Link => {
    links.add(inner)
    if (isCut) end(inner) // while it was dialed
    return {
      direction: inner.direction,
      remote: inner.remote,
      get bufferedBytes() {
        return inner.bufferedBytes
      },
      attach(events) {
        inner.attach({
          ...events,
          onClose(why) {
            links.delete(inner)
            events.onClose(why)
          },
        })
      },
      send: (frame) => inner.send(frame),
      pause: () => inner.pause(),
      resume: () => inner.resume(),
      welcome: () => inner.welcome(),
      close: (code, why) => inner.close(code, why),
    }
  }
  return {
    dialer: (inner) => ({
      async dial(address, signal) {
        if (isCut) throw refused()
        return known(await inner.dial(address, signal))
      },
    }),
    listener: (inner) => ({
      onLink(handler) {
        inner.onLink((link) => {
          if (isCut) end(link)
          else handler(known(link))
        })
      },
      get links() {
        return inner.links
      },
      close: () => inner.close(),
    }),
    cut() {
      isCut = true
      for (const link of links) end(link)
    },
    heal: () => void (isCut = false),
  }
}
