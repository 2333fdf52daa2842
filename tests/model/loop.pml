/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A loop with two rings, or with a mailbox: how it learns of kicks, by a multishot poll of each ring's
 * eventfd, by the multiplexer's bitmap, or by one and then the other, while it spins for as long as
 * it likes and sleeps. What is shown: each run ends with all requests answered and all messages
 * read; a wake-up that is lost leaves a driver waiting for ever, which is an invalid end state.
 *
 * The rings' own fences are those of ring.pml and are taken for granted here: a ring is an index
 * and a wish, and each step is seen by all. What this model is about are the orders beyond them,
 * each of which can be taken away, by number in the environment variable WITHOUT. Where the order
 * is one of a store before a load, its loss is a run in which the load comes first. WAY in the
 * environment: 0 poll, 1 multiplexer, 2 one ring that moves between the two at any time; 3 no ring,
 * but another thread's message.
 *
 * An eventfd is never read, so that it stays readable. A multishot poll whose completion finds no
 * room ends: that may happen to any completion here, as storage fills the queue, too.
 */
#define RINGS 2
#define REQUESTS 2

/* WITHOUT */
#define RING_LOOK 1   /* a ring that has asked for kicks is looked at once more */
#define REARM_LOOK 2  /* a poll that is armed completes at once where there was a kick */
#define BIT_WAKE 3    /* multiplexer: the bit is set before waiters are looked for */
#define WAIT_LOOK 4   /* multiplexer: poll waits, then looks at the bits */
#define TAKE_ATOMIC 5 /* loop: bits are read and cleared at once */
#define TAKE_LOOK 6   /* loop: bits are cleared before the rings are looked at */
#define BIND_LOOK 7   /* multiplexer: bind tells of a kick that came before */
#define MAIL_WAKE 8   /* sender: the message is there before the look at the sleeper */
#define SLEEP_MAIL 9  /* loop: it says that it sleeps, then looks for mail */

byte without, way;

/* A ring: requests published, answered; the loop's wish for kicks. */
byte sent[RINGS], done[RINGS];
bit wish[RINGS];

/* The kernel: an eventfd with its watchers, work for the loop's thread, the multiplexer. */
bit count[RINGS], polled[RINGS], bound[RINGS], inside[RINGS], bits[RINGS], ready[RINGS];
bit mux_polled, mux_ready;

/* The loop: which rings it looks at, which polls are to be armed. */
bit awake[RINGS], due[RINGS], mux_due;
bit mail, sleeping, wake;

#define any(a) (a[0] || a[1])

/* The callback of a bound eventfd. The bit was clear: somebody may have to be told. */
inline set_bit(r)
{
	if
	:: without == BIT_WAKE ->
		seen = mux_polled;
		old = bits[r];
		bits[r] = 1;
		if
		:: !old && seen -> mux_ready = 1
		:: else
		fi
	:: else ->
		d_step {
			old = bits[r];
			bits[r] = 1
		}
		if
		:: !old && mux_polled -> mux_ready = 1
		:: else
		fi
	fi;
	old = 0;
	seen = 0
}

inline kick(r)
{
	d_step {
		count[r] = 1;
		if
		:: polled[r] -> ready[r] = 1
		:: else
		fi;
		inside[r] = bound[r]
	}
	if
	:: inside[r] -> set_bit(r)
	:: else
	fi;
	inside[r] = 0
}

proctype driver(byte r)
{
	bit old, seen;

	do
	:: sent[r] == REQUESTS -> break
	:: sent[r] < REQUESTS ->
		sent[r]++;
		if
		:: wish[r] -> kick(r)
		:: else
		fi;
		/* one after the other, or both at once */
		if
		:: done[r] == sent[r]
		:: true
		fi
	od;
	done[r] == REQUESTS
}

proctype sender()
{
	bit seen;

	if
	:: without == MAIL_WAKE ->
		seen = sleeping;
		mail = 1
	:: else ->
		mail = 1;
		seen = sleeping
	fi;
	if
	:: seen -> wake = 1
	:: else
	fi;
	!mail
}

inline activate(r)
{
	d_step {
		awake[r] = 1;
		wish[r] = 0
	}
}

/* Where the bits are cleared last, what came since they were read is gone. */
inline take_bits()
{
	if
	:: without == TAKE_ATOMIC ->
		if
		:: bits[0] -> activate(0)
		:: else
		fi;
		if
		:: bits[1] -> activate(1)
		:: else
		fi;
		d_step {
			bits[0] = 0;
			bits[1] = 0
		}
	:: without == TAKE_LOOK ->
		if
		:: bits[0] ->
			activate(0);
			done[0] = sent[0];
			look(0);
			bits[0] = 0
		:: else
		fi;
		if
		:: bits[1] ->
			activate(1);
			done[1] = sent[1];
			look(1);
			bits[1] = 0
		:: else
		fi
	:: else ->
		d_step {
			if
			:: bits[0] ->
				bits[0] = 0;
				awake[0] = 1;
				wish[0] = 0
			:: else
			fi;
			if
			:: bits[1] ->
				bits[1] = 0;
				awake[1] = 1;
				wish[1] = 0
			:: else
			fi
		}
	fi
}

/* A ring asks for kicks; where there is work after all it does not. */
inline look(r)
{
	if
	:: awake[r] ->
		wish[r] = 1;
		if
		:: without != RING_LOOK && sent[r] != done[r] ->
			wish[r] = 0;
			quiet = 0
		:: else -> awake[r] = 0
		fi
	:: else
	fi
}

inline arm(r)
{
	if
	:: due[r] ->
		d_step {
			due[r] = 0;
			polled[r] = 1;
			if
			:: without != REARM_LOOK && count[r] -> ready[r] = 1
			:: else
			fi
		}
	:: else
	fi
}

inline arm_mux()
{
	if
	:: mux_due && without == WAIT_LOOK ->
		mux_due = 0;
		if
		:: any(bits) -> mux_ready = 1
		:: else
		fi;
		mux_polled = 1
	:: mux_due && without != WAIT_LOOK ->
		mux_due = 0;
		mux_polled = 1;
		if
		:: any(bits) -> mux_ready = 1
		:: else
		fi
	:: else
	fi
}

/* A completion; perhaps the last one of this poll. */
inline polled_ready(r)
{
	ready[r] = 0;
	activate(r);
	if
	:: true
	:: true ->
		d_step {
			polled[r] = 0;
			due[r] = 1
		}
	fi
}

/* News of the old way is dropped; the new one is asked what came before. */
inline move(r)
{
	if
	:: bound[r] ->
		/* the wait queue's lock: no callback is under way when this is through */
		d_step {
			!inside[r];
			bound[r] = 0
		}
		bits[r] = 0;
		due[r] = 1
	:: !bound[r] ->
		d_step {
			polled[r] = 0;
			due[r] = 0;
			ready[r] = 0
		}
		bound[r] = 1;
		if
		:: without != BIND_LOOK && count[r] -> activate(r)
		:: else
		fi
	fi
}

proctype loop()
{
	bit old, seen, quiet;
	byte moves;

	do
	:: awake[0] && sent[0] != done[0] -> done[0]++
	:: awake[1] && sent[1] != done[1] -> done[1]++
	:: ready[0] -> polled_ready(0)
	:: ready[1] -> polled_ready(1)
	:: mux_ready ->
		mux_ready = 0;
		if
		:: any(bits) ->
			if
			:: true
			:: true ->
				d_step {
					mux_polled = 0;
					mux_due = 1
				}
			fi;
			take_bits()
		:: else
		fi
	/* a look at the bitmap without being told */
	:: any(bits) -> take_bits()
	:: mail -> mail = 0
	:: way == 2 && moves < 3 ->
		moves++;
		move(0)
	/* enough of spinning */
	:: !(awake[0] && sent[0] != done[0]) && !(awake[1] && sent[1] != done[1]) ->
		quiet = 1;
		look(0);
		look(1);
		if
		:: quiet ->
			arm(0);
			arm(1);
			arm_mux();
			if
			:: without == SLEEP_MAIL ->
				seen = mail;
				sleeping = 1
			:: else ->
				sleeping = 1;
				seen = mail
			fi;
			if
			:: seen
			:: !seen ->
end_sleep:
				any(ready) || mux_ready || wake;
				wake = 0
			fi;
			sleeping = 0
		:: else
		fi;
		quiet = 0;
		seen = 0
	od
}

init {
	atomic {
		c_code {
			now.without = atoi(getenv("WITHOUT"));
			now.way = atoi(getenv("WAY"));
		};
		awake[0] = 1;
		awake[1] = 1;
		if
		:: way == 1 ->
			bound[0] = 1;
			bound[1] = 1
		:: else ->
			due[0] = 1;
			due[1] = 1
		fi;
		mux_due = (way == 1 || way == 2);
		if
		:: way == 3 -> run sender()
		:: way == 2 -> run driver(0)
		:: else ->
			run driver(0);
			run driver(1)
		fi;
		run loop()
	}
}
