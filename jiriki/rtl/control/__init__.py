"""The tile's control: fetch, sequencer, unit queues, semaphores, counters, mailbox."""
