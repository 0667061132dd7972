/**
 * Bugs that the simulator must find: each is a change of the source that is made while it is bundled for the simulator
 * (scripts/simulate.js --plant NAME), and nowhere else. By file: text that stands in it once, and what takes its place.
 */
export const plantedBugs = {
  'of what a producer had in flight, only what a snapshot holds is known after a stop': {
    'src/log/producer-replay.ts': [
      [
        '  if (snapshot !== null && producers.size > 0) recallBatches(request, snapshot.offset)\n',
        '  void recallBatches\n',
      ],
    ],
  },
  'the high watermark does not wait for the in-sync set': {
    'src/replication/in-sync-set.ts': [['    if (counts) lowest = follower.logEndOffset', '    void counts']],
  },
  'the high watermark may fall': {
    'src/replication/partition.ts': [
      [
        '    if (next > this.highWatermark) this.#moveHighWatermark(next',
        '    if (next > 0) this.#moveHighWatermark(next - 1',
      ],
    ],
  },
  'a shrinking in-sync set counts before the controller has granted it': {
    'src/replication/in-sync-set.ts': [
      ["  return pending?.kind === 'expand' ? pending.isr : committed", '  return pending?.isr ?? committed'],
      [
        '      (follower.isCaughtUp(logEndOffset, nowMs, lagTimeMaxMs) && now.isLive(follower.brokerId))',
        '      false',
      ],
    ],
  },
  'logs that went different ways are not cut': {
    'src/replication/follower/followed.ts': [
      [
        '    partition.truncateTo(truncationForDivergence(partition.log, partition.highWatermark, diverging))\n',
        '    void diverging\n',
      ],
    ],
  },
  'the leader does not look whether logs went different ways': {
    'src/replication/partition-read.ts': [
      ['  if (lastFetchedEpoch >= 0) {', '  if (lastFetchedEpoch >= 1e9) {'],
    ],
  },
  'a replica outside the in-sync set is elected': {
    'src/controller/decide/offline-replicas.ts': [
      [
        '  const clean = assigned.find((id) => online.includes(id))',
        '  const clean = assigned.find((id) => isOnline(id))',
      ],
    ],
  },
  'an election does not begin a leader epoch': {
    'src/controller/decide/offline-replicas.ts': [
      ['  const leaderEpoch = current.leaderEpoch + 1', '  const { leaderEpoch } = current'],
    ],
  },
  'the versions of in-sync sets are not compared': {
    'src/controller/decide/alter-partition.ts': [
      ['  if (wish.leaderEpoch < current.leaderEpoch) return { error: ErrorCode.FENCED_LEADER_EPOCH }\n', ''],
      [
        '  if (wish.partitionEpoch < current.partitionEpoch) return { error: ErrorCode.INVALID_UPDATE_VERSION }\n',
        '',
      ],
      ['  if (leader !== current.leader) return { error: ErrorCode.INVALID_REQUEST }\n', ''],
    ],
  },
  'an acknowledgement does not wait': {
    'src/replication/partition.ts': [
      ['    const ack = this.#acks.add(offset, done)', '    const ack = this.#acks.add(0, done)'],
      ['    if (this.highWatermark >= offset) this.#answerAcks()', '    this.#answerAcks()'],
    ],
  },
  'consumers read what is not committed': {
    'src/replication/partition-read.ts': [
      [
        '  if (request.replicaId !== -1) upperBoundOffset = log.logEndOffset',
        '  upperBoundOffset = log.logEndOffset',
      ],
    ],
  },
  'a producer that tries again is not recognized': {
    'src/log/producer-state.ts': [
      ["      if (duplicate) return { verdict: 'duplicate', batch: duplicate }\n", ''],
    ],
  },
  'a broker that came back unseen is believed to have everything': {
    'src/controller/active-controller.ts': [
      ['    await leaveOutReturned(this, writtenZxids, decodeDealtWith(left?.data ?? null))\n', ''],
    ],
  },
  'a replica joins the in-sync set before it has what is committed': {
    'src/replication/in-sync-set.ts': [
      [
        '  if (follower.logEndOffset < at.highWatermark || follower.logEndOffset < at.epochStartOffset) return null\n',
        '  void at\n',
      ],
    ],
  },
  'a replica that has come back with less is taken for what it was when it fetched': {
    'src/controller/alter-partition.ts': [
      [' && (life === undefined || state.brokers.get(broker)?.epoch === life)', ' && life !== -2'],
    ],
  },
  'the leader epoch of a Fetch is not compared': {
    'src/replication/partition.ts': [
      [
        '    if (currentLeaderEpoch !== -1 && currentLeaderEpoch < this.leaderEpoch)\n      return ErrorCode.FENCED_LEADER_EPOCH\n',
        '',
      ],
      ['    if (currentLeaderEpoch > this.leaderEpoch) return ErrorCode.UNKNOWN_LEADER_EPOCH\n', ''],
    ],
  },
  'what was said of an older leader epoch is believed': {
    'src/replication/replica-manager.ts': [
      [
        '      if (known && isTold) return',
        '      if (known && isTold && known.topicId === ZERO_UUID) return',
      ],
      ['      if (known && state.partitionEpoch < known.partitionEpoch) return ErrorCode.NONE\n', ''],
    ],
    'src/replication/partition.ts': [
      ['    if (state.partitionEpoch < this.partitionEpoch) return false\n', ''],
    ],
  },
  'a controller that another has followed is obeyed, whatever the leader epoch': {
    'src/broker/control-plane.ts': [
      ['    if (controllerEpoch < this.#controllerEpoch) return ErrorCode.STALE_CONTROLLER_EPOCH\n', ''],
    ],
    'src/replication/replica-manager.ts': [
      [
        '      if (known && isTold) return',
        '      if (known && isTold && known.topicId === ZERO_UUID) return',
      ],
      ['      if (known && state.partitionEpoch < known.partitionEpoch) return ErrorCode.NONE\n', ''],
    ],
    'src/replication/partition.ts': [
      ['    if (state.partitionEpoch < this.partitionEpoch) return false\n', ''],
    ],
  },
  'a controller that another has followed may write': {
    'src/controller/fenced-writes.ts': [['      version: this.#epochVersion,', '      version: -1,']],
  },
  'two controllers may begin the same epoch': {
    'src/controller/election.ts': [
      ['          version: epochNode === null ? 0 : epochNode.stat.version,', '          version: -1,'],
    ],
  },
  'a clean stop does not wait for the disk': {
    'src/log/flush-queue.ts': [
      ['      await Promise.all([segment.sync(), segment.indexes.sync()])', '      void segment'],
    ],
  },
  'the recovery point does not wait for the disk': {
    'src/log/flush-queue.ts': [
      [
        '    await Promise.all([syncAll(segments), this.#parts.snapshots.sync()])',
        '    await Promise.all([syncAll([]), void segments])',
      ],
    ],
  },
  'what the controller did not answer is not asked again': {
    'src/replication/isr-changes.ts': [
      [
        '    for (const [key, entry] of sent) this.#wait(key, entry)\n    this.#parts.logger',
        '    this.#parts.logger',
      ],
    ],
  },
  'an aborted transaction is not noted in the index': {
    'src/log/log-producers.ts': [
      [
        '      if (completed?.isAborted) active.transactions.append(this.#producers.abortedEntryOf(completed))\n',
        '      void completed\n',
      ],
    ],
  },
  'readers of committed records read on where a transaction is open': {
    'src/replication/partition-read.ts': [
      [
        'readCommitted ? marks.lastStableOffset : marks.highWatermark',
        'readCommitted ? marks.highWatermark : marks.highWatermark',
      ],
    ],
  },
  'offsets count before their transaction has ended': {
    'src/coordinator/groups/replay.ts': [
      [
        'producerId === NOT_TRANSACTIONAL ? group.offsets : transactionOffsets(partition, group, producerId)',
        'producerId === NOT_TRANSACTIONAL ? group.offsets : group.offsets',
      ],
    ],
  },
  'records of the next transaction go into the one before, which has not ended in the partition': {
    'src/log/producer-state.ts': [
      [
        'entry.transactionFirstOffset >= 0 && entry.epoch === producerEpoch',
        'entry.transactionFirstOffset >= 0 && producerEpoch >= 0',
      ],
    ],
  },
  'a coordinator does not wait until its records are committed': {
    'src/coordinator/write-committed.ts': [
      ['  if (committed === null) {', '  if (committed !== undefined) {'],
    ],
  },
  'a coordinator serves without having loaded its log': {
    'src/coordinator/coordinated-partitions.ts': [
      ['    if (this.#isEmpty(partition)) {', '    if (this.#isEmpty(partition) || partition >= 0) {'],
    ],
  },
  'the generation of a member is not compared': {
    'src/coordinator/groups/member-checks.ts': [
      [
        'request.generationId === group.generationId ? ErrorCode.NONE : ErrorCode.ILLEGAL_GENERATION',
        'ErrorCode.NONE',
      ],
    ],
  },
  'a rebalance does not begin a generation': {
    'src/coordinator/groups/rebalance.ts': [
      ['  group.generationId++', '  group.generationId = Math.max(1, group.generationId)'],
    ],
  },
  'a static member is not fenced by the one that has come in its place': {
    'src/coordinator/groups/member-checks.ts': [
      ['    if (current !== memberId) return ErrorCode.FENCED_INSTANCE_ID\n', '    return ErrorCode.NONE\n'],
    ],
    'src/coordinator/groups/group.ts': [
      [
        '  member(memberId: string): Member {\n    const member = this.members.get(memberId)\n',
        "  member(memberId: string): Member {\n    const of = [...this.staticMembers].find(([id]) => memberId.startsWith(`${id}-`))?.[1]\n    const member = this.members.get(memberId) ?? this.members.get(of ?? '')\n",
      ],
    ],
  },
  'a partition is given to a member before its owner has given it back': {
    'src/coordinator/groups/consumer/advance.ts': [
      [
        'group.ownerEpoch(topicId, partition) !== NOT_OWNED',
        'group.ownerEpoch(topicId, partition) > NOT_OWNED + 1e9',
      ],
    ],
  },
  'a member that sends heartbeats is fenced': {
    'src/coordinator/groups/consumer/heartbeat.ts': [
      [
        '  deadlines.sessionMs = context',
        '  if (deadlines.sessionMs === Infinity) deadlines.sessionMs = context',
      ],
    ],
  },
  'a member that is silent keeps what it has': {
    'src/coordinator/groups/consumer/leave.ts': [['    if (sessionMs <= nowMs || joinMs', '    if (joinMs']],
  },
  'a member that is gone commits offsets': {
    'src/coordinator/groups/consumer/describe.ts': [
      [
        '  if (member === undefined) return ErrorCode.UNKNOWN_MEMBER_ID\n  if (member.classic',
        '  if (member === undefined) return ErrorCode.NONE\n  if (member.classic',
      ],
    ],
  },
  'a producer is not fenced by the one that has come in its place': {
    'src/coordinator/transactions/init-producer-id.ts': [
      [
        'begin({ producerId, producerEpoch: producerEpoch + 1 }',
        'begin({ producerId, producerEpoch: Math.max(producerEpoch, 0) }',
      ],
    ],
  },
  'a leader takes what a fenced producer writes': {
    'src/log/producer-state.ts': [
      ['    if (entry !== undefined && producerEpoch < entry.epoch)\n', '    if (entry === null)\n'],
      ['      !this.isInTransaction(batch) &&\n', '      producerId < 0 &&\n'],
      ['checksSequence ? this.#sequenceFault(batch, entry) : null', 'null'],
    ],
    'src/coordinator/transactions/add-partitions.ts': [
      [
        '  if (metadata.producerEpoch !== producerEpoch) return ErrorCode.PRODUCER_FENCED\n',
        '  void producerEpoch\n',
      ],
      ['  return isPreparing(metadata) ? ErrorCode.CONCURRENT_TRANSACTIONS : ErrorCode.NONE', '  return 0'],
    ],
  },
  'the generation of a member is not compared in a transaction': {
    'src/coordinator/groups/offsets.ts': [
      [
        'consumer !== null) return checkConsumerTxnCommit(consumer, memberId, generationId)',
        'consumer !== null) return ErrorCode.NONE',
      ],
      ['  return checkMemberOfGeneration(group, request)\n', '  return ErrorCode.NONE\n'],
    ],
  },
  'a transaction that takes too long stays open': {
    'src/coordinator/transactions/end-transaction.ts': [
      [
        "  return !isPending && metadata.state === 'Ongoing'",
        "  return !isPending && metadata.state === 'Dead'",
      ],
    ],
  },
  'the offsets of an aborted transaction count': {
    'src/coordinator/groups/replay.ts': [
      ['    if (!committed || offsets === undefined) continue', '    if (offsets === undefined) continue'],
    ],
  },
  'the last stable offset may fall': {
    'src/log/producer-state.ts': [
      [
        '    for (const { transactionFirstOffset } of this.#inTransaction) return transactionFirstOffset\n    return -1\n',
        '    return [...this.#inTransaction].at(-1)?.transactionFirstOffset ?? -1\n',
      ],
    ],
  },
}

/** What clients do where the others do not meet it. */
export const foundWith = {
  'an aborted transaction is not noted in the index': 'transactions',
  'readers of committed records read on where a transaction is open': 'transactions',
  'offsets count before their transaction has ended': 'transactions',
  'records of the next transaction go into the one before, which has not ended in the partition':
    'transactions',
  'a coordinator does not wait until its records are committed': 'groups',
  'a coordinator serves without having loaded its log': 'groups',
  'the generation of a member is not compared': 'groups',
  'a rebalance does not begin a generation': 'groups',
  'a static member is not fenced by the one that has come in its place': 'groups',
  'a partition is given to a member before its owner has given it back': 'groups',
  'a member that sends heartbeats is fenced': 'groups',
  'a member that is silent keeps what it has': 'groups',
  'a member that is gone commits offsets': 'groups',
  'a producer is not fenced by the one that has come in its place': 'groups',
  'a leader takes what a fenced producer writes': 'groups',
  'the generation of a member is not compared in a transaction': 'groups',
  'a transaction that takes too long stays open': 'groups',
  'the offsets of an aborted transaction count': 'groups',
  'the last stable offset may fall': 'groups',
}

/**
 * Where the search begins, for the sake of time: the seed that found it when this was written. Whatever changes the order of
 * events moves it, and the search goes on from there.
 */
export const startSeeds = {
  'of what a producer had in flight, only what a snapshot holds is known after a stop': 23,
  'a shrinking in-sync set counts before the controller has granted it': 107,
  'the versions of in-sync sets are not compared': 57,
  'consumers read what is not committed': 42,
  'a replica joins the in-sync set before it has what is committed': 5,
  'a replica that has come back with less is taken for what it was when it fetched': 549,
  'the leader epoch of a Fetch is not compared': 12,
  'what was said of an older leader epoch is believed': 363,
  'a controller that another has followed is obeyed, whatever the leader epoch': 6,
  'a controller that another has followed may write': 146,
  'two controllers may begin the same epoch': 159,
  'a clean stop does not wait for the disk': 51,
  'the recovery point does not wait for the disk': 132,
  'what the controller did not answer is not asked again': 47,
  'records of the next transaction go into the one before, which has not ended in the partition': 165,
  'a static member is not fenced by the one that has come in its place': 5,
  'a member that is gone commits offsets': 10,
}
