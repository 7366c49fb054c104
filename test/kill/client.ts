/** Client: asks the fleet, whichever process it is, until there is an answer. */
import type { Command, Outcome, ToFleet } from './messages.ts';

/** One for all clients of the shop. */
export class Client {
  readonly #open = new Map<number, { readonly command: Command; readonly answered: (outcome: Outcome) => void }>();
  #lastTicket = 0;
  #send: ((message: ToFleet) => void) | undefined;

  get isConnected(): boolean {
    return this.#send !== undefined;
  }

  /** Everything that has not been answered is asked again, in the order in which it was asked first. */
  connect(send: (message: ToFleet) => void): void {
    this.#send = send;
    for (const [ticket, { command }] of this.#open) send({ at: 'asked', ticket, command });
  }

  disconnect(): void {
    this.#send = undefined;
  }

  answered(ticket: number, outcome: Outcome): void {
    const asked = this.#open.get(ticket);
    this.#open.delete(ticket);
    asked?.answered(outcome);
  }

  ask(command: Command): Promise<Outcome> {
    const ticket = (this.#lastTicket += 1);
    return new Promise((answered) => {
      this.#open.set(ticket, { command, answered });
      this.#send?.({ at: 'asked', ticket, command });
    });
  }
}
