package madeup

// The grammar of notes. A theme is what brings somebody to the room; its
// sentences carry slots that are filled for this person and this hour:
//
//	{n} what they are called   {r} somebody close   {j} their work
//	{a} something they do      {p} a place          {t} a time
//	{c} a small number         {s} a score          {w} a weekday
type theme struct {
	diagnosis                  Diagnosis
	adults                     bool // not for the young
	births                     bool // only after giving birth
	reason, told, thought, aim []string
}

var themes = []theme{
	{
		diagnosis: Diagnosis{"F41.1", "Generalized anxiety disorder"},
		reason: []string{
			"Seeks help for worry that has grown over {c} months and now begins {t}, before anything has gone wrong.",
			"Describes a body that is always braced: tight jaw, short breath, and {c} nights a week awake with lists.",
		},
		told: []string{
			"Worry was worst {t}, mostly about money and about their {r}.",
			"Noticed that checking the phone {c} times before bed makes sleep worse, not better.",
			"Used the breathing exercise {c} times, once in the car outside work as a {j}.",
			"Cancelled a plan with their {r} and felt relief first, then shame.",
			"Wrote the worries down on {w} and found that {c} of them were the same worry.",
			"Told their {r} for the first time how loud the thoughts get.",
			"Went {a} although the stomach said no, and stayed until the end.",
		},
		thought: []string{
			"Avoidance still buys short relief at a long price; the client can now name this in the moment.",
			"Worry works as a way of caring for their {r}, which makes it hard to put down.",
			"GAD-7 is {s}, lower than at intake; sleep follows the same line.",
			"Early signs of tolerating uncertainty without asking for reassurance.",
			"The body calms faster than the thoughts, and this is becoming a resource.",
		},
		aim: []string{
			"Worry window of 15 minutes {t}, written, then closed.",
			"One small uncertain thing on purpose before {w}, chosen by the client.",
			"Practise the long exhale daily, before it is needed.",
			"Leave the phone outside the bedroom {c} nights.",
		},
	},
	{
		diagnosis: Diagnosis{"F33.1", "Major depressive disorder, recurrent, moderate"},
		reason: []string{
			"Comes because the gray has returned after {c} good years, and work as a {j} has become wading through water.",
			"Asks for help with mornings: {c} hours between waking and standing up, and no reason that feels like enough.",
		},
		told: []string{
			"Mornings remain the hardest; got up at once on {c} of seven days.",
			"Ate regularly when their {r} was there and skipped meals otherwise.",
			"Went {a} on {w}, did not enjoy it, and was surprised to want to go again.",
			"Opened the post that had been lying for {c} weeks; nothing in it was as bad as feared.",
			"Cried at {p} and could not say why, then named it as missing who they used to be.",
			"Work as a {j} was possible in the mornings and heavy after lunch.",
			"Laughed with their {r} for the first time in a while and noticed it.",
		},
		thought: []string{
			"Activity now comes before mood instead of waiting for it; this is the change that was hoped for.",
			"PHQ-9 is {s}; energy moves first, self-criticism lags behind.",
			"The inner critic speaks in the voice of an old teacher, which the client could hear today with some distance.",
			"Withdrawal protects from being seen as a burden; their {r} seems ready to hear this.",
		},
		aim: []string{
			"Keep {a} twice before {w}, wanted or not, and write one line afterwards.",
			"Breakfast within an hour of waking; their {r} will ask, not remind.",
			"Bring one sentence of the critic, written down, to the next hour.",
			"Agree with the physician on a review of medication within {c} weeks.",
		},
	},
	{
		diagnosis: Diagnosis{"F43.12", "Post-traumatic stress disorder, chronic"},
		reason: []string{
			"Wishes to sleep again without a light on, {c} years after an event that will be told at the client's own pace.",
			"Reports nightmares {c} nights a week and a startle that embarrasses them at work as a {j}.",
		},
		told: []string{
			"A slammed door at {p} brought the body back there for about {c} minutes.",
			"Nightmares on {c} nights; woke, looked around the room, named five things, slept again.",
			"Sat with their back to the door at {p} on {w}, on purpose, for one coffee.",
			"Could tell the beginning of the memory today and asked to stop in time.",
			"Their {r} has learned to speak before entering the room, and it helps.",
			"Drove past the street for the first time in {c} months.",
		},
		thought: []string{
			"Grounding holds: the client returned to the room within a minute, by themselves.",
			"PCL-5 is {s}; re-experiencing is down, avoidance now stands out.",
			"Blame is moving slowly from self to where it belongs.",
			"Window of tolerance is wider than a month ago; pace is right and stays the client's.",
		},
		aim: []string{
			"Continue the written account, {c} lines at a time, only in daylight.",
			"Grounding card stays in the wallet; rehearse it {t} while calm.",
			"Go {a} with their {r} on {w}, leaving whenever wanted.",
			"Next hour begins and ends with the safe-place exercise.",
		},
	},
	{
		diagnosis: Diagnosis{"F43.21", "Adjustment disorder with depressed mood"},
		reason: []string{
			"Comes {c} months after the loss of work as a {j}, with days that have no edges.",
			"A move, a separation and a new city within {c} months; nobody here knows them yet.",
		},
		told: []string{
			"Unpacked {c} boxes and found the letters; read two and put the rest away.",
			"The first weekend without their {r} was long, and survivable.",
			"Applied for one position as a {j} and did not check the inbox until {w}.",
			"Has begun to greet the same people at {p}.",
			"Said out loud that it was not a failure, then argued with it for {c} minutes.",
			"Sleeps well again except {t}, when the old alarm still rings in the head.",
		},
		thought: []string{
			"Mourning a plan as much as a place; the sadness fits what happened.",
			"Daily structure is returning and mood follows it by some days.",
			"Resources are near: their {r}, and being able to ask.",
			"Distress is now {s} on the scale we use, and was higher at intake.",
		},
		aim: []string{
			"Keep one fixed appointment with the outside world {t}.",
			"Write the letter that will not be sent; bring it or burn it.",
			"Go {a} on {w}, and ask one person along.",
			"Review after {c} sessions whether weekly is still needed.",
		},
	},
	{
		diagnosis: Diagnosis{"F43.81", "Prolonged grief disorder"},
		reason: []string{
			"Their grandmother died {c} winters ago and the voice message is still saved; asks how others go on.",
			"Has kept a room unchanged for {c} years and would like, one day, to open its window.",
		},
		told: []string{
			"The anniversary on {w} was quieter than feared; lit a candle and went to {p}.",
			"Cooked the old recipe, got it wrong, and could hear what would have been said.",
			"Moved {c} things in the room and put one of them back.",
			"Spoke of the last day without the hurry of earlier tellings.",
			"Felt angry at the hospital, then guilty, then only tired.",
			"A colleague, also a {j}, asked how it is going, and the client answered honestly.",
		},
		thought: []string{
			"The bond continues and changes its form; longing is less of an ambush.",
			"Guilt keeps the dead near; the client begins to see other ways of nearness.",
			"PG-13 is {s}; yearning is lower, meaning is slowly being made.",
			"Grief and love were told apart today, by the client, in their own words.",
		},
		aim: []string{
			"Choose one thing from the room to live with, and one to give away, by {w}.",
			"A letter to the one who died, {c} pages at most.",
			"Go {a} where the two of them used to go, with company.",
			"Plan the coming holiday in advance, with permission to leave it.",
		},
	},
	{
		diagnosis: Diagnosis{"F51.01", "Primary insomnia"},
		reason: []string{
			"Sleeps {c} hours in broken pieces and has begun to fear the bed itself.",
			"Years of shifts as a {j} have left a clock that rings {t}.",
		},
		told: []string{
			"Diary shows {c} nights within the agreed window and one long nap on {w}.",
			"Got up after twenty minutes awake, sat in the kitchen, went back when heavy.",
			"Coffee ends at noon now; their {r} changed along.",
			"Lay awake {t}, calculating the hours left.",
			"Fell asleep at {p} in daylight and woke up ashamed, then amused.",
			"Two good nights in a row, then fear of the third.",
		},
		thought: []string{
			"Effort to sleep keeps sleep away; the client caught this twice alone.",
			"Sleep efficiency rose to {s} of 25 points on our chart.",
			"Catastrophic forecasts about the next day did not come true on {c} of seven days.",
			"Bed is becoming a place for sleep again rather than for accounting.",
		},
		aim: []string{
			"Keep the window for {c} more weeks, same rising time at weekends.",
			"Write tomorrow's list {t}, in the kitchen, on paper.",
			"Go {a} in the morning light.",
			"If awake and tense, leave the room; no clock in sight.",
		},
	},
	{
		diagnosis: Diagnosis{"F90.2", "Attention-deficit hyperactivity disorder, combined type"},
		reason: []string{
			"Was diagnosed {c} months ago, as a grown-up, and is rereading a whole life in that light.",
			"Loses keys, threads and trust; work as a {j} is saved by charm and by their {r}.",
		},
		told: []string{
			"Forgot {c} bills and paid them on {w}, with a fee and without a storm.",
			"The timer works if it stands across the room; in a pocket it does not.",
			"Interrupted their {r} less, and asked how it felt: noticed.",
			"Hyperfocus swallowed an evening; dinner was at eleven.",
			"Told the supervisor at work about written instructions, and got them.",
			"Went {a} and came home with the thing that was meant to be bought.",
		},
		thought: []string{
			"Shame about the past is a larger burden now than the symptoms.",
			"Systems outside the head work; systems inside the head do not, and that is no moral matter.",
			"ASRS part A is {s}; impulsive spending has stopped being mentioned.",
			"Strengths are named without a joke behind them.",
		},
		aim: []string{
			"One place for keys, by the door, for {c} weeks.",
			"Body doubling with their {r} on {w} for the paperwork.",
			"Ask the physician about the afternoon dip.",
			"Three things a day on the card, not nine.",
		},
	},
	{
		diagnosis: Diagnosis{"F42.2", "Mixed obsessional thoughts and acts"},
		reason: []string{
			"Checks the stove {c} times and knows that it is off; the knowing does not help.",
			"Intrusive thoughts about harming their {r}, horrifying to the client and against everything they are.",
		},
		told: []string{
			"Left the house with one look at the stove on {c} mornings.",
			"Touched the railing at {p} and waited with washing for {c} minutes.",
			"Asked their {r} for reassurance on {w}, and was kindly refused as agreed.",
			"The thought came {t}; called it a thought and went on peeling carrots.",
			"Skipped the exercise twice and said so at once.",
			"Anxiety during exposure rose to {s} and fell by itself.",
		},
		thought: []string{
			"Thought-action fusion is loosening: having it is no longer the same as wanting it.",
			"Exposure is chosen by the client now, and steeper than I would have proposed.",
			"Y-BOCS is {s}; compulsions give way before the thoughts do, as expected.",
			"The family's help with rituals has nearly stopped, without a quarrel.",
		},
		aim: []string{
			"Next step of the ladder: {p}, without gloves, by {w}.",
			"Delay each check by {c} minutes, then by one more.",
			"Their {r} joins the first ten minutes next time.",
			"Record what happened instead of what was feared.",
		},
	},
	{
		diagnosis: Diagnosis{"F53.0", "Postpartum depression"}, adults: true, births: true,
		reason: []string{
			"Gave birth {c} months ago and waits for the love that everybody talks about.",
			"Feels like an actor in their own kitchen, and is afraid of being found out by their {r}.",
		},
		told: []string{
			"Slept {c} hours in one piece because their {r} took the night.",
			"The baby smiled at {p}; felt it, briefly and unmistakably.",
			"Still counts minutes {t}, when the crying begins.",
			"Told another parent at {p} that it is hard, and heard that it is.",
			"Showered, went {a}, and came back to a house still standing.",
			"Frightening images are rarer and are recognised as images.",
		},
		thought: []string{
			"Bonding grows in small daily acts; the measure is no longer the picture on the telephone.",
			"EPDS is {s}; sleep is the strongest lever.",
			"No intent to harm self or child; images are unwanted and resisted.",
			"Asking for help is now experienced as care for the child.",
		},
		aim: []string{
			"Two protected nights a week; their {r} has the plan in writing.",
			"Ten minutes {t} with the baby and no aim.",
			"Parents' group on {w}.",
			"Physician reviews the medication within {c} weeks, with feeding in mind.",
		},
	},
	{
		diagnosis: Diagnosis{"F10.11", "Alcohol abuse, in remission"}, adults: true,
		reason: []string{
			"Has not drunk for {c} months and would like to know what it was for.",
			"Was asked to come by their {r}, then found reasons of their own.",
		},
		told: []string{
			"{c} weeks dry; the hour after work as a {j} is the narrow place.",
			"Poured a gift bottle away on {w}, with shaking hands and some pride.",
			"Went to the wedding, held a glass of water, left at ten.",
			"Craving came {t}, lasted the length of a shower.",
			"Their {r} counted the bottles out of old habit; they spoke about trust.",
			"Met an old companion at {p} and said no without a speech.",
		},
		thought: []string{
			"Drinking answered loneliness; the loneliness is now in the room and can be spoken to.",
			"Urges are seen as weather. Confidence is {s} of 27.",
			"The slip of last month is told as information and not as a verdict.",
			"Trust in the family grows more slowly than abstinence, which is fair.",
		},
		aim: []string{
			"Group on {w}; call the sponsor before, not after.",
			"Fill the hour after work: {a}, with shoes by the door.",
			"Write down {c} reasons and keep them in the jacket.",
			"Shared session with their {r} within the month.",
		},
	},
	{
		diagnosis: Diagnosis{"F40.10", "Social phobia, unspecified"},
		reason: []string{
			"Has eaten lunch alone for {c} years and would like to be asked, and to say yes.",
			"Blushing has become the centre of every meeting since starting as a {j}.",
		},
		told: []string{
			"Asked a question in a meeting on {w}; the voice shook and the answer was kind.",
			"Ate at {p} facing the room for {c} minutes.",
			"Replayed one sentence {t} until it lost its meaning.",
			"Looked up while speaking to the cashier, and saw a tired and friendly face.",
			"Went {a} with two people from work, through the whole of it.",
			"Their {r} was asked not to order on the client's behalf, and did not.",
		},
		thought: []string{
			"Attention moves outward; the inner camera is switched off for longer.",
			"Safety behaviours are known by name, and {c} of them have been dropped.",
			"LSAS short form is {s}; avoidance falls before fear.",
			"The predicted contempt did not arrive, again.",
		},
		aim: []string{
			"One deliberate small mistake in public before {w}.",
			"Speak first in {c} meetings.",
			"Write the prediction, then the outcome, on the same card.",
			"Lunch with one colleague at {p}.",
		},
	},
}

var firstOpenings = []string{
	"Before sitting down, {n} asked who reads what is written here; answered in full.",
	"At first {n} spoke about their {r}, then about themselves.",
	"By video from the parked car, {n} was careful at first and then glad of the privacy.",
	"We waited together until {n} found the first sentence; it was about {p}.",
	"It was their {r} who found the number, and {n} who called it.",
	"With a list in hand, {n} began at the end of it, with {a}.",
}

var openings = []string{
	"{n} came on time, sat near the window and began with their {r}.",
	"Today {n} looked rested and said so before sitting down.",
	"It took {n} some minutes to arrive; we began with the breath and with {a}.",
	"The hour began with what {n} called a small victory at {p}.",
	"By video from the parked car, {n} was calm and glad of the privacy.",
	"Unlike last time, {n} had brought notes, and read from them about their {r}.",
	"We waited together until {n} found the first sentence; it was about {p}.",
	"A difficult week, {n} said, and then counted {c} things in it that were not.",
}

var seen = []string{
	"Oriented, neatly dressed, speech even; affect warm and fitting.",
	"Eye contact came and went; tearful once, then steady.",
	"Mood described as {s} of 27 on the weekly form; affect somewhat flat, brighter with humor.",
	"Restless hands, clear thinking, good insight.",
	"Speech slow at first and livelier toward the end.",
	"Calm, attentive, laughed {c} times.",
}

var risk = []string{
	"No thoughts of suicide or of harming others; asked directly, answered at ease.",
	"Passive wish not to wake up on {w}, without plan or intent; safety plan reviewed together.",
	"Denies suicidal thoughts; reasons for living include their {r} and {a}.",
	"Risk is judged low today; the crisis line 988 is known.",
	"Asked about suicide, as every time: no thoughts, no plan, no means.",
	"No danger to self or others seen or told.",
	"Would call the practice or 988 before doing anything; said so unasked.",
}

var closings = []string{
	"Next session as scheduled.",
	"Weekly sessions go on; review in {c} weeks.",
	"Next time we begin with {a} and what it asked for.",
	"Client chose the aim and wrote it down in their own words.",
}

var history = []string{
	"Grew up near {p}, middle of {c} children; describes home as orderly and quiet.",
	"Lives with their {r}; works as a {j} and likes the early hours of it.",
	"Earlier counselling {c} years ago, remembered as kind and too short.",
	"Sleeps about {c} hours, eats regularly, no recreational drugs; alcohol on occasion.",
	"Medication through the family physician, unchanged for {c} months.",
	"Finds strength in {a}, and in their {r}.",
	"Physical health good; last check-up {c} months ago.",
}

var hopes = []string{
	"Hope for our work, in the client's words: to go {a} again without having to be brave.",
	"Asked what would be different after {c} months: to sit at {p} and simply sit.",
	"Would know it has helped when their {r} stops asking.",
	"Wishes to speak freely at work as a {j} and to sleep through.",
}

var signs = []string{
	"Stops answering messages from their {r}.",
	"Sleeps less than {c} hours, {c} nights in a row.",
	"The thought that everybody would be better off.",
	"Skips {a} and says it does not matter.",
	"Sits alone at {p} after dark.",
}

var ownSteps = []string{
	"Goes {a}, even for ten minutes.",
	"Cold water on the wrists, then the grounding card.",
	"Puts on the playlist made with their {r}.",
	"Sits at {p}, where there are people.",
	"Writes {c} lines, by hand, to be read here.",
}

var safer = []string{
	"Their {r} keeps the medication and hands out {c} days at a time.",
	"The lockbox stays with their {r} until we both agree otherwise.",
	"No alcohol in the house; their {r} knows why.",
	"Car keys go to their {r} on bad nights.",
}

// refs put the record's mark into words: {x} is the mark.
var refs = []string{
	"Ref. {x}.",
	"Filed under ref. {x}.",
	"Letter to the physician kept as ref. {x}.",
	"Plan signed by both, ref. {x}.",
	"Authorization for further sessions: ref. {x}.",
	"Copy handed over today, ref. {x}.",
}

var (
	jobs = []string{"nurse", "bus driver", "line cook", "bookkeeper", "carpenter", "teacher", "librarian", "welder", "paramedic", "bank teller",
		"florist", "programmer", "electrician", "postal carrier", "dental assistant", "farm hand", "cellist", "barista", "surveyor", "night porter"}
	closeAdults = []string{"sister", "brother", "partner", "mother", "father", "best friend", "neighbor", "cousin", "aunt", "roommate"}
	activities  = []string{"swimming", "walking by the river", "singing in the choir", "running", "fishing", "gardening", "dancing",
		"climbing", "hiking", "cycling", "birdwatching", "skating", "bowling", "walking the dog"}
	places = []string{"the bakery", "the bus station", "the library", "the old pier", "the grocery store", "the parking deck", "the church hall",
		"the school gate", "the laundromat", "the lake", "the diner on the corner", "the train platform", "the waiting room", "the ballpark"}
	times    = []string{"at dusk", "before dawn", "around three at night", "after dinner", "on Sunday evenings", "at lunch", "on the way home", "right after waking"}
	counts   = []string{"two", "three", "four", "five", "six", "seven"}
	weekdays = []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
	ways     = []string{"in the room", "by video", "in the room", "by telephone"}
)
