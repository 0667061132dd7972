/**
 * Which segments have their file open and their indexes in memory. Thousands of segments may exist; only those in use
 * cost descriptors and memory. The one unused for longest is put to rest first (second chance, no work per access).
 */
import { DiskError } from '../env/disk.ts'

export interface Resident {
  /** Set by every access. */
  recentlyUsed: boolean
  readonly isActive: boolean
  readonly indexMemoryBytes: number
  /** Writes what the index files lack, closes the file, frees the indexes. */
  rest(): void
}

export interface ResidencyLimits {
  readonly maxSegments: number
  /** Over inactive segments. */
  readonly maxIndexBytes: number
}

export class ResidentSegments {
  readonly #limits: ResidencyLimits
  readonly #segments = new Set<Resident>()

  constructor(limits: ResidencyLimits) {
    this.#limits = limits
  }

  /** Called when a segment has opened its file, and again when its indexes are in memory, whichever comes first. */
  admit(segment: Resident): void {
    segment.recentlyUsed = true
    this.#segments.add(segment)
    if (this.#segments.size > this.#limits.maxSegments) this.#restOldest(segment)
    if (!segment.isActive) this.#limitIndexMemory(segment)
  }

  leave(segment: Resident): void {
    this.#segments.delete(segment)
  }

  #restOldest(admitted: Resident): void {
    for (const segment of this.#segments) {
      this.#segments.delete(segment)
      if (segment.recentlyUsed || segment === admitted) {
        segment.recentlyUsed = segment === admitted
        this.#segments.add(segment)
      } else {
        this.#rest(segment)
        return
      }
    }
  }

  #limitIndexMemory(admitted: Resident): void {
    let total = 0
    for (const segment of this.#segments) if (!segment.isActive) total += segment.indexMemoryBytes
    for (const segment of this.#segments) {
      if (total <= this.#limits.maxIndexBytes) return
      if (segment.isActive || segment === admitted) continue
      total -= segment.indexMemoryBytes
      this.#segments.delete(segment)
      this.#rest(segment)
    }
  }

  /** It may lie on another disk than the one that is to be admitted, and stays where its indexes cannot be written. */
  #rest(segment: Resident): void {
    try {
      segment.rest()
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#segments.add(segment)
    }
  }
}
