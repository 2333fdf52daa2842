/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * How calls leave a loop by io_uring: a write to the driver's eventfd is staged when requests were
 * answered, and handed to the kernel with the loop's next entry. So many are under way at most, and
 * more are owed; a write may be refused, as the eventfd's counter is the peer's, too; and the ring
 * may leave the loop at any time, from when on each call is made at once. What is shown: each run
 * ends with a driver that knows of all its answers; a call that is lost leaves it asleep, which is
 * an invalid end state.
 *
 * Each step is seen by all: the orders between a ring's words are those of ring.pml. What has to
 * hold beyond them can be taken away, by number in the environment variable WITHOUT.
 */
#define REQUESTS 3
#define WRITES 1

/* WITHOUT */
#define SLEEP_SEND 1 /* the loop hands over what is staged before it sleeps */
#define OWED_SEND 2  /* a call that found no place is made when another has ended */
#define BAD_SEND 3   /* one that was refused is made at once */
#define LEAVE_SEND 4 /* so is one that is staged or owed when the ring leaves */

byte without;

/* The ring: published, answered, and whether the driver asks to be called. */
byte sent, done;
bit want, kicked, called;

/* The loop, and what the kernel has of it: writes, and their ends. */
byte staged, under_way, handed, good, bad;
bit owed, gone;

proctype driver()
{
	byte known;

	do
	:: known == REQUESTS -> break
	:: sent < REQUESTS ->
		d_step {
			sent++;
			kicked = 1
		}
	:: known != done -> known = done
	:: known == done && known < sent ->
		want = 1;
		if
		:: known == done ->
			d_step {
				called;
				called = 0
			}
		:: else
		fi;
		want = 0
	od
}

/* Writes are done one by one, whenever the kernel likes. */
proctype kernel()
{
end:	do
	:: handed > 0 ->
		d_step {
			handed--;
			called = 1;
			good++
		}
	:: handed > 0 ->
		d_step {
			handed--;
			bad++
		}
	od
}

inline hand_over()
{
	d_step {
		handed = handed + staged;
		staged = 0
	}
}

inline call()
{
	if
	:: gone -> called = 1
	:: !gone && under_way >= WRITES -> owed = 1
	:: else ->
		d_step {
			staged++;
			under_way++
		}
	fi
}

/* Of one that has left, the ends that are still to come mean nothing. */
inline ended()
{
	under_way--;
	if
	:: !gone && owed && without != OWED_SEND ->
		owed = 0;
		call()
	:: else
	fi
}

inline leave()
{
	if
	:: without == LEAVE_SEND -> staged = 0
	:: else ->
		hand_over();
		if
		:: owed -> called = 1
		:: else
		fi
	fi;
	owed = 0;
	gone = 1
}

proctype loop()
{
end:	do
	:: kicked ->
		kicked = 0;
		done = sent;
		if
		:: want -> call()
		:: else
		fi
	:: good > 0 ->
		good--;
		ended()
	:: bad > 0 ->
		bad--;
		if
		:: without == BAD_SEND
		:: else -> called = 1
		fi;
		ended()
	:: staged > 0 -> hand_over()
	:: !gone -> leave()
	:: !kicked && !good && !bad ->
		if
		:: without == SLEEP_SEND
		:: else -> hand_over()
		fi;
end_sleep:
		kicked || good || bad
	od
}

init {
	atomic {
		c_code {
			now.without = atoi(getenv("WITHOUT"));
		};
		run driver();
		run kernel();
		run loop()
	}
}
