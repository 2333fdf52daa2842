/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A ring between a driver and a device: publication, suppression of notifications on both sides,
 * spinning, and sleep. What is shown of it:
 *
 *   no lost wake-up   every end of the run has the driver through with all its requests; whoever
 *                     sleeps otherwise sleeps for ever, and that is an invalid end state
 *   no stale data     what was published is read as it was written (assertions)
 *   no lost request   each request is answered once, in order
 *
 * Memory is weaker than x86: each side has a store buffer with one place for each word, and these
 * reach memory in any order. A release store waits for the words that it publishes, a full fence
 * for all of them. Loads may be early where no acquire holds them back. Each of these can be taken
 * away, by number in the environment variable WITHOUT: that run has to fail.
 *
 * -DPACKED: a packed ring, else a split one. EVENT_IDX=0|1 in the environment: suppression by flag
 * or by event.
 */
#define SIZE 2
#define REQUESTS 5
#define INDEX(n) ((n) & 3)	   /* free-running, of few bits so that it wraps */
#define WORD(n) ((n) & 65535) /* arithmetic of uint16_t */

/* WITHOUT */
#define DRIVER_RELEASE 1 /* descriptors before the index (or the flags) */
#define DRIVER_FENCE 2	 /* index before the look at the device's wish */
#define DRIVER_ACQUIRE 3 /* used index before the entries */
#define DRIVER_ARM 4	 /* the driver's wish before its look at the used index */
#define DEVICE_RELEASE 5
#define DEVICE_FENCE 6
#define DEVICE_ACQUIRE 7
#define DEVICE_ARM 8
#define DRIVER_LOOK 9  /* no look between the wish and the sleep */
#define DEVICE_LOOK 10

byte without;
bit event_idx;

/* Words of memory, and who writes them. */
#ifdef PACKED
#define ENTRY 0 /* and 1: what a descriptor says; both sides */
#define FLAGS 2 /* and 3: its AVAIL and USED; both sides */
#define DRIVER_WISH 4
#define DEVICE_WISH 5
#else
#define DATA 0	/* and 1: descriptors and the available ring; driver */
#define AVAIL 2 /* index; driver */
#define DRIVER_WISH 3
#define ANSWER 4 /* and 5: used ring; device */
#define USED 6	 /* index; device */
#define DEVICE_WISH 7
#endif
#define WORDS 8
byte memory[WORDS];

/* A store buffer has a place for each word. */
typedef buffer {
	byte value[WORDS];
	byte pending; /* bits: which of them wait */
};
buffer of_driver, of_device;

/* Waited for in order; an eventfd that nobody reads counts, and that is a bit. */
bit kick, call;

/* Macros, as an inline takes no condition for an argument. */
#define store(b, word, v)                                      \
	d_step {                                               \
		b.value[word] = v;                             \
		b.pending = b.pending | (1 << (word));         \
	}

#define waits(b, word) (b.pending & (1 << (word)))
#define drained(b) (b.pending == 0)

#ifdef PACKED
#define published(b) ((b.pending & 15) == 0)
#else
#define published(b) ((b.pending & 51) == 0)
#endif

#define reach(b, word)                                         \
	d_step {                                               \
		waits(b, word);                                \
		memory[word] = b.value[word];                  \
		b.value[word] = 0;                             \
		b.pending = b.pending & (255 - (1 << (word))); \
	}

/* Stores reach memory at any time, in any order. */
proctype memory_of_driver()
{
end:
	do
	:: reach(of_driver, 0)
	:: reach(of_driver, 1)
	:: reach(of_driver, 2)
	:: reach(of_driver, 3)
	:: reach(of_driver, DRIVER_WISH)
	od
}

proctype memory_of_device()
{
end:
	do
#ifdef PACKED
	:: reach(of_device, 0)
	:: reach(of_device, 1)
	:: reach(of_device, 2)
	:: reach(of_device, 3)
#else
	:: reach(of_device, ANSWER)
	:: reach(of_device, ANSWER + 1)
	:: reach(of_device, USED)
#endif
	:: reach(of_device, DEVICE_WISH)
	od
}

/* A load sees the newest store of one's own, then memory. */
#define load(b, word) (waits(b, word) -> b.value[word] : memory[word])

/* Whether the other side is to be told of the move from old to new. */
#define crossed(event, new, old) (WORD((new) - (event) - 1) < WORD((new) - (old)))
#define crossed_index(event, new, old) (INDEX((new) - (event) - 1) < INDEX((new) - (old)))

#ifdef PACKED
/* A wish: flags, lap and position in one word. */
#define WISH_ALL 0
#define WISH_NONE 4
#define WISH_AT(pos, wrap) (8 + 2 * (wrap) + (pos))
#define wish_is_at(w) ((w) >= 8)
#define wish_pos(w) ((w) & 1)
#define wish_wrap(w) (((w) >> 1) & 1)
#define wanted(w, pos, wrap, n) \
	((!wish_is_at(w)) -> (w) != WISH_NONE : \
	 crossed(wish_pos(w) - (wish_wrap(w) != (wrap) -> SIZE : 0), pos, (pos) - (n)))
#define silent_wish(w) WISH_NONE
#define armed_wish(pos, wrap, idx) (event_idx -> WISH_AT(pos, wrap) : WISH_ALL)
/* AVAIL and USED of a descriptor. */
#define made_avail(wrap) (1 + (wrap) + 2 * (1 - (wrap)))
#define made_used(wrap) (1 + 3 * (wrap))
#define is_avail(f, wrap) ((f) == made_avail(wrap))
#define is_used(f, wrap) ((f) == made_used(wrap))
#else
/* A wish: an index with EVENT_IDX, else 1 for none. With an event, silence is not to move it. */
#define wanted(w, idx, n) (event_idx -> crossed_index(w, idx, (idx) - (n)) : (w) == 0)
#define silent_wish(w) (event_idx -> (w) : 1)
#define armed_wish(pos, wrap, idx) (event_idx -> INDEX(idx) : 0)
#endif

/* Request k is at place k % SIZE, in lap k / SIZE. */
#define place(k) ((k) % SIZE)
#define lap(k) (1 - (((k) / SIZE) & 1))
#define content(k) (10 + (k))
#define answer(k) (100 + (k))

#ifdef PACKED
#define asked(k) is_avail(load(of_device, FLAGS + place(k)), lap(k))
#define answered(k) is_used(load(of_driver, FLAGS + place(k)), lap(k))
#define read_request(k) load(of_device, ENTRY + place(k))
#define read_answer(k) load(of_driver, ENTRY + place(k))
#else
#define asked(k) (INDEX(memory[AVAIL]) != INDEX(k))
#define answered(k) (INDEX(memory[USED]) != INDEX(k))
#define read_request(k) memory[DATA + place(k)]
#define read_answer(k) memory[ANSWER + place(k)]
#endif

/* A notification is a system call: what was stored before is seen by whoever it wakes. */
#define notify(b, what)                                        \
	atomic {                                               \
		drained(b);                                    \
		what = 1                                       \
	}

proctype driver()
{
	byte sent, got, n, early, wish;
	bit has_early, want;

	do
	:: got == REQUESTS -> break
	:: got < sent && !has_early && without == DRIVER_ACQUIRE ->
		atomic {
			early = read_answer(got);
			has_early = 1
		}
	:: sent < REQUESTS && sent - got < SIZE ->
		/* one or two at once: the first one's flags are the last to be written */
		if
		:: n = 1
		:: sent + 1 < REQUESTS && sent + 1 - got < SIZE -> n = 2
		fi;
#ifdef PACKED
		store(of_driver, ENTRY + place(sent), content(sent));
		if
		:: n == 2 ->
			store(of_driver, ENTRY + place(sent + 1), content(sent + 1));
			store(of_driver, FLAGS + place(sent + 1), made_avail(lap(sent + 1)))
		:: else
		fi;
		(without == DRIVER_RELEASE || published(of_driver));
		store(of_driver, FLAGS + place(sent), made_avail(lap(sent)));
#else
		store(of_driver, DATA + place(sent), content(sent));
		if
		:: n == 2 -> store(of_driver, DATA + place(sent + 1), content(sent + 1))
		:: else
		fi;
		(without == DRIVER_RELEASE || published(of_driver));
		store(of_driver, AVAIL, INDEX(sent + n));
#endif
		sent = sent + n;
		(without == DRIVER_FENCE || drained(of_driver));
		wish = memory[DEVICE_WISH];
		if
#ifdef PACKED
		:: wanted(wish, place(sent), lap(sent), n) -> notify(of_driver, kick)
#else
		:: wanted(wish, sent, n) -> notify(of_driver, kick)
#endif
		:: else
		fi;
		n = 0
	:: got < sent ->
		if
		:: answered(got) ->
take:
			if
			:: has_early -> assert(early == answer(got))
			:: true -> assert(read_answer(got) == answer(got))
			fi;
			has_early = 0;
			early = 0;
			got++
		:: !answered(got) ->
			/* asks to be called, looks once more, and sleeps */
			store(of_driver, DRIVER_WISH, armed_wish(place(got), lap(got), got));
			(without == DRIVER_ARM || drained(of_driver));
			if
			:: without != DRIVER_LOOK && answered(got)
			:: without == DRIVER_LOOK || !answered(got) ->
				atomic {
					call;
					call = 0
				}
			fi;
			store(of_driver, DRIVER_WISH, silent_wish(load(of_driver, DRIVER_WISH)))
		fi
	od
}

proctype device()
{
	byte taken, done, n, early, wish;
	bit has_early;

	do
	:: !has_early && without == DEVICE_ACQUIRE && taken < REQUESTS ->
		atomic {
			early = read_request(taken);
			has_early = 1
		}
	/* the quantum: published one by one, or several at once */
	:: done < taken ->
		n = taken - done;
publish:
#ifdef PACKED
		store(of_device, ENTRY + place(done), answer(done));
		if
		:: n == 2 ->
			store(of_device, ENTRY + place(done + 1), answer(done + 1));
			store(of_device, FLAGS + place(done + 1), made_used(lap(done + 1)))
		:: else
		fi;
		(without == DEVICE_RELEASE || published(of_device));
		store(of_device, FLAGS + place(done), made_used(lap(done)));
#else
		store(of_device, ANSWER + place(done), answer(done));
		if
		:: n == 2 -> store(of_device, ANSWER + place(done + 1), answer(done + 1))
		:: else
		fi;
		(without == DEVICE_RELEASE || published(of_device));
		store(of_device, USED, INDEX(done + n));
#endif
		done = done + n;
		(without == DEVICE_FENCE || drained(of_device));
		wish = memory[DRIVER_WISH];
		if
#ifdef PACKED
		:: wanted(wish, place(done), lap(done), n) -> notify(of_device, call)
#else
		:: wanted(wish, done, n) -> notify(of_device, call)
#endif
		:: else
		fi;
		n = 0
	:: taken - done < SIZE && asked(taken) ->
		if
		:: has_early -> assert(early == content(taken))
		:: true -> assert(read_request(taken) == content(taken))
		fi;
		has_early = 0;
		early = 0;
		taken++;
		assert(taken <= REQUESTS)
	/* it has spun for long enough */
	:: done == taken && !asked(taken) ->
		store(of_device, DEVICE_WISH, armed_wish(place(taken), lap(taken), taken));
		(without == DEVICE_ARM || drained(of_device));
		if
		:: without != DEVICE_LOOK && asked(taken)
		:: without == DEVICE_LOOK || !asked(taken) ->
end_sleep:
			atomic {
				kick;
				kick = 0
			}
		fi;
		store(of_device, DEVICE_WISH, silent_wish(load(of_device, DEVICE_WISH)))
	od
}

init {
	atomic {
		c_code {
			now.without = atoi(getenv("WITHOUT"));
			now.event_idx = atoi(getenv("EVENT_IDX"));
		};
		run memory_of_driver();
		run memory_of_device();
		run driver();
		run device()
	}
}
