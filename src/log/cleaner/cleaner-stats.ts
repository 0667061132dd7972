/** What the cleaner has done since the start, as plain numbers that only grow (but the last two). */
export class CleanerStats {
  /** Cleanings that were finished. */
  logsCleaned = 0
  /** Cleanings that were ended early: the log was cut, deleted or moved, or the broker stopped. */
  aborted = 0
  /** Cleanings that failed. */
  failed = 0
  mapBytesRead = 0
  bytesRead = 0
  bytesWritten = 0
  recordsRead = 0
  recordsKept = 0
  /** Of finished cleanings. */
  cleaningMs = 0
  /** Time that the cleaner held the event loop. */
  busyMs = 0
  slices = 0
  longestSliceMs = 0
  /** Share of the slots that the last offset map filled. */
  lastMapUtilization = 0
  uncleanablePartitions = 0

  /** For log.cleaner.io.max.bytes.per.second. */
  get ioBytes(): number {
    return this.mapBytesRead + this.bytesRead + this.bytesWritten
  }
}
