/** Which broker is the controller: the test's choice. */
import { metadataApi } from '../../../src/protocol/messages/03-metadata.ts'
import { WireClient } from '../../broker/wire-client.ts'
import type { Cluster } from '../harness/cluster.ts'
import type { ClusterMember } from '../harness/cluster-member.ts'
import { eventually } from '../harness/conditions.ts'
import { ClusterView } from '../cluster/cluster-view.ts'
import { patiently } from './mixed-cluster.ts'

/** Shorter than any session, longer than an election on a busy machine. */
const FREEZE_AT_MOST_MS = 4000

/**
 * The controller's znode is taken away while all other brokers stand still, so the chosen one makes it again. For the
 * brokers that is a controller's failover like any other.
 */
export async function makeController(cluster: Cluster, brokerId: number): Promise<void> {
  const view = new ClusterView(cluster)
  for (let attempt = 1; (await view.controllerId()) !== brokerId; attempt++) {
    if (attempt > 5) throw new Error(`broker ${brokerId} does not become the controller`)
    const others = cluster.members.filter((member) => member.isRunning && member.brokerId !== brokerId)
    for (const member of others) member.freeze()
    try {
      await view.deleteController()
      await eventually(
        'there is a controller',
        async () => (await view.controllerId()) !== null,
        FREEZE_AT_MOST_MS,
      ).catch(() => undefined)
    } finally {
      for (const member of others) member.thaw()
    }
    await patiently('there is a controller', async () => (await view.controllerId()) !== null)
  }
  // Clients ask whom the brokers name; until all name the new one, some are told that they asked the wrong broker.
  for (const member of cluster.members.filter(({ isRunning }) => isRunning))
    await patiently(
      `broker ${member.brokerId} knows the controller`,
      async () => (await controllerNamedBy(member)) === brokerId,
    )
}

async function controllerNamedBy({ port, host }: ClusterMember): Promise<number> {
  const client = await WireClient.connect(port, host)
  try {
    return (await client.request(metadataApi, 1, { topics: [] })).controllerId
  } finally {
    client.close()
  }
}
