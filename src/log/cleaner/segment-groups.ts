/** Which neighbouring segments are cleaned into one. Pure. Kafka: Cleaner.groupSegmentsBySize. */
export interface GroupedSegment {
  readonly baseOffset: number
  readonly sizeBytes: number
  readonly offsetIndexBytes: number
  readonly timeIndexBytes: number
}

export interface GroupLimits {
  readonly segmentBytes: number
  readonly segmentIndexBytes: number
}

const MAX_RELATIVE_OFFSET = 0x7fff_ffff

/** `endOffset`: what all of the segments end at or below. */
export function groupSegments<S extends GroupedSegment>(
  segments: readonly S[],
  endOffset: number,
  { segmentBytes, segmentIndexBytes }: GroupLimits,
): S[][] {
  const groups: S[][] = []
  let group: S[] = []
  let bytes = 0
  let offsetIndexBytes = 0
  let timeIndexBytes = 0
  segments.forEach((segment, index) => {
    const lastOffset = (segments[index + 1]?.baseOffset ?? endOffset) - 1
    bytes += segment.sizeBytes
    offsetIndexBytes += segment.offsetIndexBytes
    timeIndexBytes += segment.timeIndexBytes
    const fits =
      bytes <= segmentBytes &&
      offsetIndexBytes <= segmentIndexBytes &&
      timeIndexBytes <= segmentIndexBytes &&
      group.length > 0 &&
      // Offsets in a segment are int32 from its base; one without bytes has none.
      (segment.sizeBytes === 0 || lastOffset - group[0].baseOffset <= MAX_RELATIVE_OFFSET)
    if (fits) return void group.push(segment)
    group = [segment]
    groups.push(group)
    bytes = segment.sizeBytes
    offsetIndexBytes = segment.offsetIndexBytes
    timeIndexBytes = segment.timeIndexBytes
  })
  return groups
}
