/**
 * Which brokers get which replicas of new partitions: round robin over the brokers, followers shifted a place further in
 * every round, spread over racks where racks are known. The same placement as Kafka's AdminUtils for the same start.
 */
export interface PlacedBroker {
  readonly id: number
  readonly rack: string | null
}

export interface PlacementRequest {
  /** At least one; with racks, all have one or none has. */
  readonly brokers: readonly PlacedBroker[]
  readonly partitions: number
  readonly replicationFactor: number
  /** Partition that the numbering goes on from. */
  readonly firstPartition: number
  /** Where the round robin begins, and by how much followers are shifted at first. */
  readonly startIndex: number
  readonly startShift: number
}

/** One list of broker ids for each partition, the preferred leader first. */
export function assignReplicas(request: PlacementRequest): number[][] {
  const racks = new Map<number, string>()
  for (const { id, rack } of request.brokers) if (rack !== null) racks.set(id, rack)
  const sorted = request.brokers.map(({ id }) => id).sort((a, b) => a - b)
  const ids = racks.size === 0 ? sorted : alternateRacks(sorted, racks)
  const rackCount = new Set(racks.values()).size
  let shift = request.startShift
  return Array.from({ length: request.partitions }, (_, i) => {
    const partition = request.firstPartition + i
    if (partition > 0 && partition % ids.length === 0) shift++
    const first = (partition + request.startIndex) % ids.length
    const replicas = [ids[first]]
    const chosenRacks = new Set([racks.get(ids[first])])
    for (let step = 0; replicas.length < request.replicationFactor; step++) {
      const distance = racks.size === 0 ? shift : shift * rackCount
      const id = ids[(first + 1 + ((distance + step) % (ids.length - 1))) % ids.length]
      if (racks.size > 0) {
        // A second replica in a rack or on a broker waits until every rack has one.
        if (chosenRacks.has(racks.get(id)) && chosenRacks.size < rackCount) continue
        if (replicas.includes(id)) continue
        chosenRacks.add(racks.get(id))
      }
      replicas.push(id)
    }
    return replicas
  })
}

/** Brokers 0 1 2 in rack a and 3 4 5 in rack b: 0 3 1 4 2 5. */
function alternateRacks(ids: readonly number[], racks: ReadonlyMap<number, string>): number[] {
  const byRack = new Map<string, number[]>()
  for (const rack of [...new Set(racks.values())].sort()) byRack.set(rack, [])
  for (const id of ids) byRack.get(racks.get(id)!)!.push(id)
  const result: number[] = []
  for (let round = 0; result.length < ids.length; round++)
    for (const brokers of byRack.values()) if (round < brokers.length) result.push(brokers[round])
  return result
}
