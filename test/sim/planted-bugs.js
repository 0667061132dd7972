/**
 * Bugs that the simulator must find: each is a change of the source that is made while it is bundled for the simulator
 * (scripts/simulate.js --plant NAME), and nowhere else. `edits`: text that stands in `file` once, and what takes its place.
 */
export const plantedBugs = {
  'the high watermark does not wait for the in-sync set': {
    file: 'src/replication/in-sync-set.ts',
    edits: [['    if (counts) lowest = follower.logEndOffset', '    void counts']],
  },
  'the high watermark may fall': {
    file: 'src/replication/partition.ts',
    edits: [
      [
        '    if (next > this.highWatermark) this.#moveHighWatermark(next',
        '    if (next > 0) this.#moveHighWatermark(next - 1',
      ],
    ],
  },
  'a shrinking in-sync set counts before the controller has granted it': {
    file: 'src/replication/in-sync-set.ts',
    edits: [
      ["  return pending?.kind === 'expand' ? pending.isr : committed", '  return pending?.isr ?? committed'],
      [
        '      (follower.isCaughtUp(logEndOffset, nowMs, lagTimeMaxMs) && now.isLive(follower.brokerId))',
        '      false',
      ],
    ],
  },
  'logs that went different ways are not cut': {
    file: 'src/replication/follower/followed.ts',
    edits: [
      [
        '    partition.truncateTo(truncationForDivergence(partition.log, partition.highWatermark, diverging))\n',
        '    void diverging\n',
      ],
    ],
  },
  'the leader does not look whether logs went different ways': {
    file: 'src/replication/partition-read.ts',
    edits: [['  if (lastFetchedEpoch >= 0) {', '  if (lastFetchedEpoch >= 1e9) {']],
  },
  'a replica outside the in-sync set is elected': {
    file: 'src/controller/decide/offline-replicas.ts',
    edits: [
      [
        '  const clean = assigned.find((id) => online.includes(id))',
        '  const clean = assigned.find((id) => isOnline(id))',
      ],
    ],
  },
  'an election does not begin a leader epoch': {
    file: 'src/controller/decide/offline-replicas.ts',
    edits: [['  const leaderEpoch = current.leaderEpoch + 1', '  const { leaderEpoch } = current']],
  },
  'the versions of in-sync sets are not compared': {
    file: 'src/controller/decide/alter-partition.ts',
    edits: [
      ['  if (wish.leaderEpoch < current.leaderEpoch) return { error: ErrorCode.FENCED_LEADER_EPOCH }\n', ''],
      [
        '  if (wish.partitionEpoch < current.partitionEpoch) return { error: ErrorCode.INVALID_UPDATE_VERSION }\n',
        '',
      ],
      ['  if (leader !== current.leader) return { error: ErrorCode.INVALID_REQUEST }\n', ''],
    ],
  },
  'an acknowledgement does not wait': {
    file: 'src/replication/partition.ts',
    edits: [
      ['    const ack = this.#acks.add(offset, done)', '    const ack = this.#acks.add(0, done)'],
      ['    if (this.highWatermark >= offset) this.#answerAcks()', '    this.#answerAcks()'],
    ],
  },
  'consumers read what is not committed': {
    file: 'src/replication/partition-read.ts',
    edits: [
      [
        '  if (request.replicaId !== -1) upperBoundOffset = log.logEndOffset',
        '  upperBoundOffset = log.logEndOffset',
      ],
    ],
  },
  'a producer that tries again is not recognized': {
    file: 'src/log/producer-state.ts',
    edits: [["      if (duplicate) return { verdict: 'duplicate', batch: duplicate }\n", '']],
  },
  'a broker that came back unseen is believed to have everything': {
    file: 'src/controller/active-controller.ts',
    edits: [['    await leaveOutReturned(this, writtenZxids)\n', '']],
  },
}
