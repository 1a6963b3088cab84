/** The model that runs on this machine: its files, its download. No JSX, no DOM. */
import { signal } from "@preact/signals";
import type { Commands, DeviceStatus } from "../api.gen";
import { BridgeError } from "../bridge";

export type Device = ReturnType<typeof createDevice>;

export function createDevice(api: Pick<Commands, "device">) {
  const status = signal<DeviceStatus | null>(null);
  const problem = signal<BridgeError | null>(null);

  async function take(answer: Promise<DeviceStatus>): Promise<boolean> {
    try {
      status.value = await answer;
      problem.value = null;
      return true;
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      problem.value = error;
      return false;
    }
  }

  return {
    status,
    problem,
    load: () => take(api.device.status()),
    download: () => take(api.device.download()),
    pause: () => take(api.device.pause_download()),
    useFile: (path: string | null) => take(api.device.use_file({ path })),
  };
}
