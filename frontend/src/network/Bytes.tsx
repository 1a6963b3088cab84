import { formatBytes } from "../ui/format";

interface Props {
  sent: number;
  received: number;
  /** Nothing was tried. */
  isRefused: boolean;
}

/** How much went there and came from there. */
export function Bytes({ sent, received, isRefused }: Props) {
  if (isRefused) return null;
  if (sent + received === 0) return <p class="network-bytes">Nothing sent</p>;
  return (
    <p class="network-bytes">
      {formatBytes(sent)} sent
      <br />
      {formatBytes(received)} received
    </p>
  );
}
