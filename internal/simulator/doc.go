// Package simulator simulates the stats API of Chat-Tonic: an [http.Handler] for
// tests and demonstrations. All of its data is made up.
//
// What happens in a team follows from its seed, codename, size, time zone and
// scenarios alone, and can be computed for any instant. An answer is the
// difference of two sums since the day began. So the answers over [a, b) and
// [b, c) add up to the one over [a, c), for any instants to the millisecond, and
// nothing after the clock's present exists.
//
// Operators work in shifts, take breaks, and handle up to two queries at a time.
// A bot serves some of the users who come; the others have a query, which waits,
// is assigned to an operator, and is resolved or fails. Users who wait too long
// give up, which fails their query. Some of the users whose query is resolved
// answer the NPS question. Users and messages are counted for those whom the bot
// serves. Every shift is one of 256 workdays that are drawn once: which one, and
// when it begins, depends on the team, the operator and the day. A day on which
// the scenario changes is computed from the same workdays.
//
// A simulated day runs from 04:00 to 04:00, local time of the contact centre. No
// query of an operator lasts longer, so that each day can be computed by itself;
// only the queue of a backlog is handed on to the next day. The first day is
// 2020-01-01.
//
// Where the API is not documented, the simulator has conventions that it does not
// share with the real one: durations are seconds with up to three decimals,
// scores are shares from 0 to 100 (nps from -100 to 100), an unknown team is a
// 404, and refusals carry {"status":false,"message":…}.
package simulator
