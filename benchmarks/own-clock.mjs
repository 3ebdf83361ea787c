/**
 * Time of this thread alone: nanoseconds on a CPU, or of the wall where the system does not say. What the system counts for
 * a thread is behind by up to a tick of some milliseconds, unless it has just been asked for the time of the whole process.
 */
import { readFileSync } from 'node:fs'

const CLOCK = '/proc/thread-self/schedstat'
const onCpu = () => {
  process.cpuUsage()
  return Number(readFileSync(CLOCK, 'utf8').split(' ')[0])
}

export const ownClock = (() => {
  try {
    onCpu()
    return onCpu
  } catch {
    return () => Number(process.hrtime.bigint())
  }
})()
