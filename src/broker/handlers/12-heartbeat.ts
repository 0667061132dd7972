/** Heartbeat 0-4: a member shows that it lives and learns of a rebalance. v3 has static members (KIP-345). */
import type { HeartbeatRequest, HeartbeatResponse } from '../../protocol/messages/12-heartbeat.ts'
import type { Handler } from '../services.ts'

export const handleHeartbeat: Handler<HeartbeatRequest, HeartbeatResponse> = (services, request) =>
  services.groups.heartbeat(request)
