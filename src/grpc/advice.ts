/** Returns what to do about a link that gRPC could not open, judged by the error text; '' if that text says enough. */
export function adviceOn(why: string): string {
  if (/UNAUTHENTICATED/.test(why)) return '; give all nodes the same `grpc.authToken`';
  if (/certificate|altname|ssl|tls|EPROTO|wrong version/i.test(why))
    return '; give all nodes `grpc.tls` of one authority, each a certificate for the host of its `grpc.advertisedAddress`';
  if (/ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|Name resolution|no welcome/i.test(why))
    return '; check its `grpc.advertisedAddress`, and what lies between (firewall, network policy)';
  return '';
}
