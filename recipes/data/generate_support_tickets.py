"""Write support_tickets.csv: invented messages to an online shop and the queue each belongs in.

Why: the recipes need an English set with several uneven classes that works offline and is honestly
hard. Every message is composed from the grammar below; none is taken from a data set.

The queue that has to act next decides the label, not the topic that takes up the most words:

* billing: money taken or asked for, invoices, vouchers, a refund that was promised and is not there
* delivery: where a parcel is, when and where it comes, what was lost or left out on the way
* returns: an article to be sent back, exchanged or repaired, whatever is wrong with it
* account: signing in, personal data, membership points, newsletters
* technical: the website, the app and the set-up of a device
* feedback: praise, grumbling and ideas that ask for nothing

The facts of one queue stand in the messages of the others as old stories ("last week I wrote because
..., that is sorted"), asides name foreign topics and some messages hold no word of their own queue;
FLIP_RATE of all labels are wrong on purpose. So keywords alone mislead and nothing can reach 100 percent.

Rerun with `python recipes/data/generate_support_tickets.py`: the seed is fixed and the file next to this
script comes out the same, byte for byte.

How the grammar is written: a table holds one fragment per line. `[a|b|]` picks one branch, `{name}`
expands a table of the message's own queue or a common one, `{other.name}` one of another queue that stays
the same within a message. A `fact` reads well on its own and after "because"; the letter after its `@` says
which details and requests go with it, those without a letter go with every fact.
"""

import csv
import random
import re
from pathlib import Path

SEED = 20250311
ROWS = 2400
SHARES = {"billing": 26, "delivery": 22, "returns": 16, "account": 15, "technical": 14, "feedback": 7}  # percent
FLIP_RATE = 0.03
SHORTEST, LONGEST = 3, 90  # words
TYPO_RATE = 0.03  # per word of a careless writer
ALIKE = 0.72  # two messages share fewer than this part of their character trigrams
OUTPUT = Path(__file__).with_name("support_tickets.csv")

ITEMS = """kettle, toaster, desk lamp, backpack, bookshelf, frying pan, coffee grinder, yoga mat, suitcase,
office chair, rug, wall clock, tent, sleeping bag, blender, hair dryer, bike helmet, mirror, garden hose,
picture frame, side table, board game, drill, dog bed, lunch box, flask, toothbrush, plant pot, ironing board,
stroller, bread bin, teapot, hammock, floor lamp, cat tree, duvet, step ladder, umbrella, bird feeder, skateboard,
rice cooker, shower curtain, paddling pool, sewing machine, chess set, wok, doormat, tool box, clothes rail"""
CLOTHES = """winter jacket, raincoat, cardigan, dress, wool jumper, linen shirt, fleece, skirt, dressing gown,
waistcoat, tracksuit, denim jacket, swimsuit, blazer, hoodie, polo shirt"""
GADGETS = """wireless speaker, fitness watch, doorbell camera, robot vacuum, smart plug, e-reader, printer, router,
air purifier, smart scale, bluetooth keyboard, baby monitor, weather station, projector, thermostat, headset"""
RELATIVES = """husband, wife, mother, sister, neighbour, son, daughter, flatmate, father, brother, boyfriend,
colleague, niece, grandmother"""

TABLES = {
    # Billing.
    "billing.fact": """
        my card was charged twice for [the same order|one {item}|order {order}] @t
        {money} was taken from my [account|card] and I [had no idea|could not work out] what for @t
        the total on my bank statement was {money} more than [on the confirmation|what I agreed to] @t
        the voucher I [typed in|used] was not taken off the [total|price of the {item}] @t
        you [took|kept] {money} although I cancelled [in time|the same day|within the hour] @t
        the invoice showed [the wrong company name|my maiden name|the wrong VAT rate|a stranger's address] @i
        I never got [an invoice|a proper bill|a receipt] for the {item} @i
        the refund for the {item} [never reached my bank|did not show up on my card|was {money} short] @r
        only half of the money for the {item} came back @r
        I was asked to pay for order {order} a second time @b
        I got a reminder with a late fee for something I had paid [weeks ago|on time|in {month}] @b
        the discount [for new customers|from the newsletter|on the {item}] was missing from the bill @t
        postage was added although the basket was well over the limit @t
        my gift card showed [no balance|nothing left] after one small order @o
        I was billed for two and had ordered one {item} @t
        the instalment for {month} was taken [twice|a week too early] @t
        a yearly fee came off my card [although I never asked for it|out of the blue|once more] @t
        the price of the {item} went up between the basket and the receipt @t
        the payment was refused three times and still left my balance @t
        the bank transfer for order {order} was not matched to anything @b
        the {item} was half price on {day} and I paid the full amount @t
        the gift wrapping was charged and I had not ticked it @t""",
    "billing.detail": """
        [My bank says|According to my bank] [both bookings are final|it came from you|they cannot stop it]. @t
        It is {money}, [not a fortune but still mine|and at the moment that hurts|so not exactly peanuts]. @tr
        I [attached|can send] a screenshot of the statement. @trb
        It was the same story [last year|with the {item2}].
        I always pay by [card|transfer|direct debit].
        The mail says {money}, the statement says {money}. @tr
        I have been [a good customer|paying on time] for years. @bo
        My tax adviser needs the right paper [before the {date}|this week|by the end of {month}]. @i""",
    "billing.ask": """
        [Please|Could you please|Kindly] [send the difference back|book it back|refund what is too much]. @t
        [When|How soon] will I [see|have] my money? @tr
        [Please explain|Can someone explain] [the amount|how you get to this sum|what I paid for]. @t
        I [need|would like|want] [a corrected invoice|a proper one for the tax office]. @i
        Please send [a new one|it] as a PDF. @i
        Who [checks|can look into] [the payment|that]? @trbo
        Please [stop the reminders|cancel the fee|take it off my balance]. @b
        How much is [left|still open] now? @ob
        [Please|Could you] [look into it|check this|put that right].""",
    "billing.hint": """
        You owe me {money}.
        I bought one, so why are there two lines from you this month?
        It said {money} on the screen and in the end it was {money}. [How come?|I want the rest.|Is that a joke?]
        I [did the sums|counted] three times and it does not add up.
        My bank says it was you, both times.
        [We|Our office] need something on paper with the tax shown separately, otherwise [my boss|nobody] signs it.
        {money} [gone|less], and I do not even know for what.
        It was supposed to be [twenty|ten|fifteen] percent less [for the {item}|], wasn't it?
        The code from your [spring|summer|birthday] card did nothing, I ended up with the normal price for the {item}.
        You promised me {money} on {day}. I look every morning and there is nothing.
        Can I [split this into three months|do it in three parts|settle it at the end of {month}]?
        Why am I three pounds poorer every month since I bought that {item}?
        Somebody of you wants {money} from me by the {date}. I settled that [long ago|in {month}].""",
    "billing.short": """
        charged twice for the {item}
        where is my refund
        wrong amount on invoice {order}
        please send invoice for order {order}
        voucher for the {item} not accepted
        why was I billed {money}
        late fee of {money} not justified
        paid {money} instead of {money}
        double payment order {order}
        still waiting for my {money}
        VAT number missing on the bill
        can I pay for the {item} by [transfer|instalments]?
        gift card balance [wrong|gone]""",
    "billing.question": """
        Can I [still|] [pay by instalments|change the payment method|use two vouchers] for [order {order}|the {item}]?
        Do I have to pay the bill for the {item} [now|before the {date}|at once] or [when it comes|in {month}]?
        Is there a discount if [we|our school|I] [order|buy] more than [ten|twenty|six] pieces of the {item}?
        What does the {money} on my [bill|receipt] for the {item} stand for?
        Why is there a fee on [a transfer|my card|an order] of {money}?
        Could you put [our company name|the tax number|my new surname] on the invoice for the {item}?
        How long does [a refund|it] take [until it is on my card|to reach my bank] with an order of {money}?""",
    "billing.aside": """
        The payment [went through|worked] without a hitch[, by the way|].
        The invoice [was fine|came at once].
        I paid {money} for it, so I expect a bit more.
        The refund for the {item2} is [here|on my card] by now, thanks for that.
        The price was [right|as promised] [and the discount too|].
        I do not want [my money back|a discount], [really|honestly].
        I used a voucher and paid the rest by card.
        I have the receipt [here|in front of me].""",
    # Delivery.
    "delivery.fact": """
        my parcel [never turned up|did not come on {day}] @l
        the tracking [had not moved|was stuck] [since {day}|for six days|for a week] @l
        the driver left the {item} [in the rain|with a neighbour nobody knows|behind the bins|at number {number}] @l
        the courier wrote that nobody was home although I [sat by the door|was in] all day @m
        only one of two boxes came @p
        the box was [empty|torn open and half empty] when it got here @p
        order {order} was marked as delivered but nothing was there @l
        the {item} was sent to my old address @a
        the pick-up point was [closed|shut for good] when I went @m
        the parcel went back to you before I could collect it @m
        the delivery date was moved [three times|again and again] @d
        the {item} was missing from the box @p
        I paid for express and waited [eight days|a whole week] @d
        the {item} left the warehouse on {day} and then vanished @l
        the parcel was held at customs @l
        I took a day off for the {item} and the van never came @m
        somebody else signed for my {item} @l
        you shipped the {item} to the wrong [town|street|floor] @a
        the carrier wanted my {item} to be fetched from a depot [forty|thirty] miles away @m
        order {order} was still being packed after [nine|ten|twelve] days @d
        the driver [threw it over the fence|would not carry it up the stairs] @m""",
    "delivery.detail": """
        The last scan was on {day}. @ldm
        The neighbours [know nothing|have not seen it either]. @la
        I need the {item} [before the {date}|for a birthday on {day}|by the weekend].
        [The carrier|Their hotline] [only has a recording|says to ask you|hangs up].
        The right house number is {number}, [not what is on the label|it is on the gate in big letters]. @a
        The {item2} from the same order [is here|came], the rest [is not|did not]. @p
        We move house on the {date}.""",
    "delivery.ask": """
        [Where is it|Where is my parcel|Where is the {item}]? @l
        [Please|Could you please|Kindly] [find out where it is|trace it|ask the carrier]. @la
        When [does it|will it|can I expect it to] [come|arrive|get here]? @ld
        Can it be [left with the neighbour|brought to my office|dropped at a locker] instead? @md
        Please [try again on {day}|send the van again|arrange another day]. @m
        Please send [the rest|the missing part] [at once|today|before {day}]. @p
        Can you [get it back|send it to the right place|have it redirected]? @a
        What [happens|do we do] now?""",
    "delivery.hint": """
        I stayed in all {day} for nothing.
        Still nothing. [How much longer?|What is going on?|It was meant to be here on {day}.]
        The neighbours have not got it either.
        It should have been here on {day} and the birthday is tomorrow.
        I only [found|got] a card that says sorry we missed you. I was in the kitchen!
        We moved on the {date}, so the {item} must not go where the last one went.
        There was the {item2}, but where is the {item}?
        Nobody rang. [Nobody knocked.|The dog did not even bark.] And now it is supposed to be [with us|here].
        Do you bring the {item} up to the [fourth|third|fifth] floor? There is no lift.
        I am away from the {date}. Can it wait?
        Somebody called [Mr|Ms] {letter}. has my {item}, [I am told|it says]. I know no such person.
        Could you hold on to it until I am back on the {date}?
        Day {number} of waiting for one {item}.
        Is [the island|the north|my village] too far for you? Everybody else manages.""",
    "delivery.short": """
        where is my {item}
        parcel not here yet
        order {order} not arrived
        {item} [lost|still not here|late]
        nothing arrived on {day}
        half the order is missing
        tracking says delivered, it isn't
        new address for order {order}
        when will the {item} come?
        courier left parcel at number {number}
        please deliver after {day}
        box arrived without the {item}
        can you ship the {item} sooner?""",
    "delivery.question": """
        How long does [shipping|delivery] of the {item} take [to the islands|to the north|abroad|at the moment]?
        Do you [deliver|ship] [on Saturdays|in the evening|to a parcel locker|to a hotel], [say|for example] a {item}?
        Can I [collect|pick up] the {item} [myself|at a shop|from the depot] [on {day}|]?
        Which carrier [brings|delivers] the {item}, and do they [ring|call ahead]?
        Will the {item} and the {item2} come [in one parcel|on the same day]?
        Is it [possible|too late] to change the [delivery day|address] of order {order}?
        Does the {item} have to be signed for[, I work until six|, we are never home on a {day}|]?""",
    "delivery.aside": """
        The parcel [came|arrived] [on time|a day early][, no complaint there|].
        Shipping was quick [as always|this time].
        It was delivered on {day}.
        The driver was [friendly|very kind][, by the way|].
        The {item2} from the same parcel is [fine|perfect].
        The box was undamaged.
        The courier even rang [twice|before he came].
        My address [is still the same|has not changed].""",
    # Returns.
    "returns.fact": """
        the {wear} was [too small|too tight|two sizes too big|too long in the sleeves] @s
        the {item} stopped working after [two days|a week|the first evening] @f
        the colour of the {item} was nothing like the picture @s
        I ordered a grey {item} and got a green one @s
        there was no return label in the box with the {item} @r
        the {item} had a [scratch|crack|dent] right across the [front|side] @f
        the {item} fell apart [the first time I used it|within days] @f
        I changed my mind about the {item} @r
        a screw was missing from the {item} @f
        you sent me [a used|somebody's old] {item} @f
        the replacement for the {item} was faulty as well @f
        my return was refused because [the box was open|the tag was off|I was one day late] @x
        I got the same {item} twice as a present @r
        the {item} smelled of [smoke|glue|petrol] even after a week on the balcony @f
        the zip of the {wear} broke @f
        the {gadget} was dead out of the box @f
        the {item} leaked [from the first day|all over the table] @f
        the {item} was not what [the description said|I had ordered] @s
        the repair of the {gadget} took [five|six|seven] weeks and it was still broken @f
        the {wear} shrank in the first wash @f
        you picked up the wrong {item} when I sent one back @x""",
    "returns.detail": """
        It is [unworn|unused|as good as new]. @sr
        I still have the [box|packaging and the slip]. @srf
        My {relative} thinks [the same|so too]. @sf
        I bought it on the {date} of {month}, so [it is under guarantee|it is not old]. @f
        I got it on the {date}, so I am within the thirty days. @srx
        [The blue one|The other model] would be [perfect|fine]. @s
        I have [photos|a short film] of the fault. @f
        It has to be [out of the flat|gone] before the {date}. @r
        I have the [slip|paper] here. @x""",
    "returns.ask": """
        [Please|Could you please|Kindly] [send me a return label|take it back|have it collected]. @srf
        How do I [send it back|return it]? @sr
        Can I swap it for [the blue one|another one|a different model]? @srf
        I [want|would like] [a replacement|a new one|it repaired]. @f
        Does the guarantee cover this? @f
        Where do I [send|take|drop off] it? @srf
        Please [think again|reconsider|make an exception|sort it out]. @x
        What [can we do|do you suggest|now]?""",
    "returns.hint": """
        It looked different in the picture. [What now?|I do not want it.]
        Too tight around the shoulders. Have you got the next one up?
        I do not like the {item}. [And now?|My {relative} likes it even less.]
        My {relative} had already bought the same {item}, so now we have two.
        It wobbles, it squeaks and it smells. [You can have it.|Come and get it.]
        [The left|One] leg is shorter than the [others|right one].
        Have you got the {wear} in a [medium|large|small] instead?
        Two evenings and the {item} was done for. [Mend it|Fix it], please.
        The {item} does not go with our [kitchen|sofa|bathroom] at all. It is still wrapped up. Can you help?
        My {relative} sat on the {item} once and that was it. I thought these things last [ten years|for ever]?
        I had [ordered|picked] the blue one. This {item} is [brown|sort of beige|pink].
        Which [shop|counter] do I take it to, and does it have to be in the box?
        It is a lovely {wear}, just not on me.""",
    "returns.short": """
        {wear} too small
        return label for the {item} please
        {item} broken after [one week|two days]
        wrong colour, want to exchange
        how to return a {item}?
        send back order {order}
        exchange {wear} for a larger size
        {item} has a crack
        received the wrong {item}
        {gadget} faulty, under guarantee
        do not want the {item} anymore
        replacement for broken {item} please""",
    "returns.question": """
        Can I [return|send back] the {item} [without the box|after thirty days|if I have used it once]?
        How long is the guarantee on the {item}[, two years or three|, and does it cover water|]?
        Is it possible to [swap|exchange] the {item} for [another colour|the {item2}|a newer one]?
        [Who pays|Do I pay] the postage if I send the {item} back [from abroad|]?
        May I bring the {wear} back [to a shop|in person] [on {day}|] instead of posting it?
        Do you [repair|mend] [a {gadget} like mine|the {gadget}] or do I get a new one?
        Until when can I [give the {item} back|return a present], I [bought|got] it in {month}?""",
    "returns.aside": """
        I do not want to send anything back[, though|].
        The {item2} from last time is [great|just what I wanted|still going strong].
        I once had to exchange a {item2} and that [worked|was quick].
        The shoes I got in {month} fit [well|perfectly].
        The return of the {item2} [is done|went well].
        The {item2} [I bought in {month}|you repaired] works [perfectly|well].
        The quality is [fine|good] as a rule[, no scratches, nothing|].""",
    # Account.
    "account.fact": """
        I could not [log in|sign in] any more @l
        the [mail|link] to reset my password never came @l
        my account was locked after [three tries|a typing error] @l
        someone had changed the e-mail address in my profile @h
        my old [surname|address|phone number] was still in my profile @c
        my points [disappeared|were gone] [overnight|after I bought the {item}] @p
        I had two accounts by mistake @m
        I kept getting the newsletter although I unsubscribed [twice|in {month}] @n
        the code for signing in went to a phone I no longer own @l
        my saved addresses were gone @e
        my order history was empty [from {month} on|] @e
        my account was closed without a word @l
        the date of birth in my profile was wrong @c
        I was still [listed as a business customer|shown as a basic member] @c
        I forgot which e-mail I [signed up|registered] with @l
        my {relative} had signed up under my name @m
        orders of a stranger [appeared|showed up] in my profile @h
        the new password was rejected every time @l
        my wish list was visible to [everybody|strangers] @h
        a login from [abroad|another city] was reported that was not mine @h
        the points for the {item} were never added @p""",
    "account.detail": """
        I have used the same mail address [for years|since the start|since {month}]. @lhm
        [The hint|The security question] means nothing to me. @l
        I have [checked|looked in] the spam folder. @l
        I have been [a gold|a silver|an ordinary] member since {month}. @pec
        I got married in {month}, [hence the change|so the name is new]. @c
        I worry that someone [else is using it|reads my data]. @h
        I have not [changed|touched] anything [since {month}|]. @hpe
        I only used it for the {item}. @mln
        [Twice|Three times] I got a mail that it was done. @nc""",
    "account.ask": """
        [Please|Could you please|Kindly] [unlock it|help me back in|let me back in]. @l
        How [do I|can I] get back in? @l
        Please [delete my data|take me off the list|stop it]. @n
        Please [merge them|close one of them|delete the second one]. @m
        Can you [put the points back|look where they went]? @p
        Can you [bring it back|restore that]? @e
        Please [change|correct|update] it. @c
        Who [was that|did that]? @h
        Is my [account|data] safe? @hme
        [Please help.|What should I do?|Can you sort this out?]""",
    "account.hint": """
        It says I do not exist. I do.
        You keep calling me Mrs {letter}., [I am not|which I have not been for years]. Please put that right.
        I do not remember what I chose [in {month}|when I bought the {item}]. Can you let me back in?
        Please forget everything you know about me[, {item} and all|].
        Every {day} the same mail with things I do not want. Make it stop.
        I do not have that phone any more, so the six digits [go nowhere|reach a stranger].
        Who is [Mr|Ms] {letter}. and why [do I see|does my page show] their {item}?
        Since the wedding I have a different surname. [Where do I tell you?|Can you take that over?]
        My {relative} and I would like to [collect together|share everything] from now on.
        After {number} years I am suddenly a new customer?
        I had almost enough for the free {item}, and today it says zero.
        Third time it tells me that this is not me. It is.
        My {relative} died in {month}. [Please do not write to her any more.|What do you need from us?]
        What do you actually keep on file about me?""",
    "account.short": """
        can't log in
        password reset mail never came
        delete my account please
        account locked since {day}
        change of e-mail address
        points from the {item} missing
        unsubscribe me from the newsletter
        two accounts, please merge
        was my account hacked?
        forgot my user name
        login code not sent on {day}
        new surname since {month}""",
    "account.question": """
        How [do|can] I [change|update] my [e-mail address|name|birthday|phone number] [without the old phone|]?
        Can my {relative} and I use [one account|the same login]?
        What happens to my points if I [close my account|do not order until {month}]?
        [How long|Why] do you keep my data after I close the account?
        Do I need an account to [order|buy] a {item}[, or can I go on as a guest|]?
        Is there a way to [turn off|stop] [the birthday mails|the newsletter] but keep [the account|my points]?
        Where do I see my [points|member number][, I got some with the {item}|]?""",
    "account.aside": """
        I am [logged in|signed in], that part works.
        I have [had an account|been a member] since {month}.
        My profile [is up to date|shows everything correctly].
        I ordered as a guest, without an account.
        I even got [double points|my points] for it.
        My password [is new|works] and the login is fine.
        The newsletter [had told me about it|made me curious].
        It is all in my order history.""",
    # Technical.
    "technical.fact": """
        the app crashed [every time I opened the basket|after the update|on my {relative}'s phone] @w
        the checkout page froze after I picked a delivery date @w
        the pay button did nothing @w
        the site showed a blank page on my tablet @w
        the search found nothing, whatever I typed @w
        the {gadget} would not [pair with my phone|connect to the wifi|find the network] @g
        the update of the {gadget} stopped at [forty|sixty|ninety] percent @g
        the order page kept showing error [500|502|403|404] @w
        the photos of the {item} did not load @w
        the size filter was ignored [by the site|in the app] @w
        the voucher field was greyed out @w
        the map with the pick-up points stayed empty @w
        the return form threw me out at the last step @w
        the login page loaded over and over @w
        the PDF with my invoice would not open @w
        the link to the manual of the {gadget} was dead @w
        the app was suddenly in [Dutch|a language I cannot read] @w
        the basket emptied itself whenever I went back @w
        the chat window covered the whole screen @w
        the address form did not accept [my postcode|the letter in my house number] @w
        the {gadget} lost its settings every night @g
        the tracking page never finished loading @w""",
    "technical.detail": """
        I have tried [two browsers|three devices|the phone and the laptop]. @w
        [Restarting|Clearing the cache|Installing it again] [did not help|changed nothing]. @w
        [Restarting|Resetting] it [did not help|changed nothing]. @g
        It started [with the update|on {day}|in {month}].
        My [phone|tablet] is [new|only a year old].
        It happens [on mobile data too|with every browser|about half of the time]. @w
        A small red light comes on and that is it. @g
        [On|With] my {relative}'s phone it is the same.""",
    "technical.ask": """
        [Please|Could you please|Kindly] [fix it|tell your programmers|repair that]. @w
        Is there [a newer version|another way to do it]? @w
        When will it [work|be working] again? @w
        Does it only work with certain browsers? @w
        Is there a [setting|trick] I have missed? @g
        How do I [reset it|set it up properly|get it going]? @g
        What [can|should] I [try|do] [now|next]?
        [Please look into this.|Can you look into this? It is urgent.]""",
    "technical.hint": """
        Nothing happens when I press it. [Then it all starts over.|Five times now.]
        It goes round and round and then everything is white.
        It blinks red three times and goes out. What does that mean?
        I get as far as step [three|four|two] and then I am back at the beginning.
        The {item} is in there, I click, it is gone, I go back, there are two of them.
        Half of the [letters|words] are squares now.
        The {gadget} and my phone refuse to speak to each other.
        It says come back later. I did, on {day} and on {day}.
        I hold the little button for ten seconds, as it says on the leaflet, and the {gadget} only beeps.
        My thumb is too big for [that little cross|those tiny boxes], I cannot get past it.
        On the laptop it is fine, on the phone I see only the top half.
        It wants a number between 1 and 0. [Pardon?|Which one would that be?]
        Since {day} I cannot put anything in, not even a {item}.
        Why is the {gadget} [invisible|offline] as soon as I leave the room?""",
    "technical.short": """
        app keeps crashing
        error [502|500|404] at checkout
        {gadget} won't connect
        site not loading since {day}
        cannot add the {item} to the basket
        pay button does not react
        how to reset the {gadget}?
        app shows a white screen
        search is broken again
        {gadget} update stuck
        pictures of the {item} not loading
        page freezes on my phone""",
    "technical.question": """
        Does the app [run on|work with] [an older phone|a tablet|my {relative}'s phone]?
        How do I [connect|pair] the {gadget} with [two phones|a new router|a laptop]?
        Which browser do I need to [see|order|turn round] the {item} [in 3D|on the page|]?
        Is there [a manual|a driver|an update] for the {gadget}, and where do I download it?
        Can the {gadget} be used without the app[, I have an old phone|]?
        How do I [switch|turn] [the app to dark mode|off the sound in the app|the language back]?
        Why does the page [reload|jump to the top] when I tap on the {item}?""",
    "technical.aside": """
        The app works [well|fine][, that is not the reason|].
        I ordered [through the app|on the website|by phone because the site was slow].
        [Your|The] website has no answer to that.
        Your site is [a bit slow|easy to use][, by the way|].
        I [updated|installed] the app on {day}.
        I use the app on my [phone|tablet], if that matters.
        I [looked at|read] the page with the questions and answers first.""",
    # Feedback: its facts are praise, grumbles or ideas.
    "feedback.fact": """
        I wanted to say how [happy|pleased] [I am|we all are] with the {item} @+
        your packaging is far too big for one small {item} @-
        it would be nice if you sold the {item} in [more colours|smaller sizes|green] @~
        {agent} was [wonderful|so patient with me] @+
        the music on your hotline is [dreadful|louder than the people] @-
        you used to be [quicker|friendlier] and that makes me sad @-
        [another shop|the shop on our corner] does this [better|with a smile] @-
        your little thank-you card made my {relative} [smile|laugh] @+
        the new shop pages are much [nicer|clearer] than the old ones @+
        a filter by material would be a great idea @~
        you could leave out [the plastic|the catalogue|the free samples] @~
        I have rarely had such [good|warm] service @+
        the instructions for the {item} are written for [giants|engineers] @-
        I will recommend you to [everyone|my whole choir] @+
        [shorter|evening] hotline hours would suit [working people|me] better @~
        the advert with the {item} is [not funny|in poor taste] @-""",
    "feedback.detail": """
        [No need to answer.|You need not reply.|No reply needed.]
        Please pass this on [to the team|to your boss].
        My {relative} [says so too|sees it the same way].
        I have been buying from you since {month}.
        Just my [two pence|opinion]. @-~
        Somebody [should|had to] say it.""",
    "feedback.ask": """
        [Keep it up!|Keep going!|Well done.|Carry on like this.] @+
        [Think about it.|Maybe one day.|Please think it over.] @~
        [Thank you!|Thanks again to everyone.|Many thanks to all of you.] @+
        [That is all.|That is all I wanted to say.|I just wanted you to know.]
        [Next time I will go elsewhere.|I am off to another shop.|You can do better.] @-""",
    "feedback.hint": """
        Hats off to {agent}, who stayed on the line with me for an hour [because of the {item}|].
        My {relative} has not stopped smiling since {day}.
        Five stars, and I am hard to please[, ask my {relative}|].
        So much paper around one {item}. Think of the trees.
        [Green|Yellow|Purple], you should make the {item} in [green|yellow|purple].
        Whoever thought of the [ribbon|little card|drawing on the lid] with the {item} deserves a rise.
        I had almost given up on people, then {agent} rang me back.
        A {item} for left-handed people, that would be something.
        You were better when you were small.
        Thirty minutes of pan pipes before somebody picks up. I know the tune by heart.
        If everybody worked like you do, I would be out of things to moan about.""",
    "feedback.short": """
        great service, thank you
        love the {item}
        best {item} ever
        too much plastic around the {item}
        please sell the {item} in [green|blue|red]
        very [friendly|helpful] staff on {day}
        bring back the old {item}
        hotline music is awful
        never buying a {item} here again
        the {item} made my day""",
    "feedback.question": """
        [Have|Did] you ever [thought|think] of [selling|making] a {item} [for children|in wood|for tall people]?
        Why is everything wrapped in plastic, even a {item}?
        Who wrote the text on the {item}? [I laughed for a week.|Give them a rise.]
        Could there be a [shop|counter] of yours in [every|our] town one day? I would be the first in the queue.
        Does anybody read these? Then: the {item} is [wonderful|the best thing in my kitchen].""",
    "feedback.aside": """
        [Otherwise|As a rule] I am [very happy|more than pleased] with your shop.
        Your team has always been [kind|so helpful].
        [I love the {item}, by the way.|My {relative} loves your shop.]
        [What a circus.|Not the service I am used to.|You were better once.]
        The service on the phone was great, as always.
        The little card in the box was a nice touch.""",
    "feedback.close": """
        [Kind|Best|Warm] regards, {letter}.
        [Regards|Greetings], {letter}.
        Best, {letter}.
        Greetings from a [loyal|long-time] customer.""",
    # Common tables.
    "greet": """
        Hello,
        Hi,
        Hi there,
        Good [morning|evening|afternoon],
        Dear team,
        Dear [customer service|all|support],
        Hey,
        Hello again,
        To whom it may concern,""",
    "close": """
        Thanks[!|.|]
        [Thank you|Many thanks] [in advance|for your help|].
        [Kind|Best|Warm] regards, {letter}.
        [Regards|Greetings], {letter}.
        Best, {letter}.
        Please answer [soon|by mail, not by phone|before {day}].
        [Hope to hear from you.|Looking forward to your answer.]
        Yours, {letter}.""",
    "opener": """
        I [bought|ordered] a {item} [from you|in your shop] [on {day}|in {month}|on the {date}].
        My order number is {order}.
        It is about [the {item}|order {order}|my order from {day}].
        This is my [second|third|fourth] message.
        Sorry to [bother|trouble] you [again|].
        My {relative} gave me a {item} [in {month}|].
        We are a [small office|family of six|nursery school|sports club] and buy from you a lot.
        I am writing for my {relative}, who [has no computer|is in hospital|hates writing].
        [I hope this is the right place.|Not sure if this is the right address for it.]
        As a [customer of many years|first-time customer], I am [surprised|confused].""",
    "mood": """
        I am [really|quite|] [annoyed|disappointed|angry|at a loss] [by now|].
        This [is getting|gets] [silly|tiring].
        No panic, but [I would like to know|it should be soon].
        [I have been patient long enough.|My patience is at an end.]
        I am not angry, [just puzzled|only curious].
        It is [not the end of the world|a pity].
        Sorry if I sound cross.
        [I spent an hour on hold about this.|Nobody picks up the phone.]
        The chat robot [was no use|sent me in circles].""",
    "solved": """
        Last [week|month] I wrote because {other.fact}[, that is sorted|. That was put right|. All good since].
        [The other day|On {day}] {other.fact}, but that was [my own mistake|quickly sorted|taken care of].
        Forget my mail from {day}, the one where I said {other.fact}. [That is settled.|It is fine now.]
        {agent} already helped me when {other.fact}, [so that is done|thanks for that].
        First {other.fact}. [You dealt with it.|That is over.|I got that sorted.]
        In {month} {other.fact}, [now it is something else|this time it is a different matter].
        This is not about my [other|first] ticket ({other.fact}), [that one is closed|you answered that].
        [I read|A friend told me] that somebody wrote to you because {other.fact}. [Not my case.|I was luckier.]
        [Yes,|All right,] {other.fact}, [I can live with that|let us leave that aside|but never mind that].""",
    "turn": """
        Now
        This time
        [Today's|The new] problem:
        [Today I am writing because|This time I need help because]
        [However,|But] now
        So why I write:""",
    "after": """
        (I [also wrote|reported] on {day} that {other.fact}. [That is solved.|Please ignore that one.|Already closed.])
        PS: [The other day|Last week] I complained that {other.fact}. You can [close|forget] that one.
        By the way, when {other.fact}, you were [very quick|a great help], thanks for that.
        And no, this is not the case where {other.fact}. [That was in {month}.|Your robot mixes them up.]
        Last time {other.fact}, [and you fixed it in no time|but that is over].
        Your [colleague|robot] thought {other.fact}. [That is not it.|No, it is not that.|Wrong ticket.]""",
    "thanks": """
        [Last week|In {month}|On {day}] {other.fact}. {agent} [solved it|put it right] in [an hour|two mails|no time].
        {other.fact}, and {agent} [sorted it out before I had finished my tea|did not rest until it was solved].
        When {other.fact}, I expected the worst, and [it was solved on the same day|you were brilliant].
        {other.fact}. It took you [five mails|two weeks|ages] to put right, but it is [done|settled] now.
        I was furious because {other.fact}. [You called, you listened, it is fixed.|{agent} put it right at once.]""",
    "agent": """
        your colleague
        [Ms|Mr] {letter}.
        the [lady|young man] [on the phone|in the chat]
        one of your people""",
    "wrap": """
        [Just|I only] wanted to say [thank you|thanks|well done].
        [Hats off|Bravo|Respect].
        No [question|request], [just a thank you|only praise this time].
        [Lovely people.|You are stars.|What a team.]
        [Do better next time.|Learn from it, please.|It should not have come to that.]
        Nothing to do [for you|any more], I just wanted [you to know|to get it off my chest].""",
}  # fmt: skip

# Form of message: weight, and the patterns that it is made of.
FORMS = {
    "short": (10, "{short}"),
    "plain": (15, """
        [{greet}|] {fact}. {ask} [{close}|]
        {fact}. [{detail}|{ask}] [{close}|]
        [{greet}|] {opener} {fact}. [{ask}|] [{close}|]
        {fact}[!|.]"""),
    "question": (11, """
        {question}
        [{greet}|{greet} a quick question:|One question:] {question} [{close}|]
        {opener} {question} [{close}|]
        {opener} {aside} {question}
        {greet} {question} [PS:|And by the way:] {aside}"""),
    "hint": (17, """
        {hint}
        [{greet}|] {hint} [{close}|{mood}|]
        {opener} {hint}
        {opener} {aside} {hint} [{mood}|]
        {hint} [PS:|Apart from that:|Oh, and] {aside}
        {solved} Now this: {hint}"""),
    "aside": (18, """
        [{greet}|] {fact}. {aside} [{ask}|] [{close}|]
        [{greet}|] {opener} {aside} [But|However,|Still,|Unfortunately] {fact}. [{ask}|{close}]
        {opener} {aside} {aside2} But {fact}. [{ask}|]
        {fact}. {ask} [PS:|By the way,] {aside}
        {fact}. [To be fair,|On the other hand,] {aside} {mood}"""),
    "story": (22, """
        [{greet}|] {solved} {turn} {fact}. [{ask}|] [{close}|]
        {solved} [{turn} {fact}. {detail}|{question}] [{close}|]
        {fact}. [{ask}|{mood}] {after}
        [{greet}|] {fact}. {after} [{ask}|{close}]"""),
    "long": (7, """
        {greet} {opener} {aside} {solved} {turn} {fact}. {detail} {ask} {mood} {close}
        {greet} {solved} {aside} {turn} {fact}. {mood} {detail} {after} {close}
        {greet} {opener} {mood} {fact}. {aside} {detail} {ask} {after} {close}
        {opener} {aside} {solved} Now this: {hint} {mood} {close}"""),
}  # fmt: skip
# Feedback tells old stories to say thanks or to grumble, and has no open problem.
FEEDBACK_FORMS = {
    "story": (40, """
        [{greet}|] {thanks} {wrap} [{close}|]
        {thanks} {wrap} {detail}
        [{greet}|] {thanks} {aside} {wrap}
        {greet} {opener} {thanks} {aside} {wrap} [{close}|]"""),
    "aside": (14, """
        {fact}. [{ask}|] {aside}
        [{greet}|] {fact}. {aside} {ask}"""),
    "hint": (17, """
        {hint}
        [{greet}|] {hint} [{close}|{detail}|]
        {opener} {hint}
        {hint} PS: {aside}"""),
    "long": (5, "{greet} {opener} {aside} {thanks} {hint} {detail} {wrap} {close}"),
}  # fmt: skip

# How people type: weight of each habit.
HABITS = {"proper": 54, "lower": 19, "careless": 17, "shout": 4, "bare": 6}
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November"]
POUNDS, PENCE = (4, 7, 9, 12, 14, 19, 24, 29, 34, 39, 45, 59, 68, 79, 120), (90, 50, 99, 20)
DATES = (4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16, 17, 18, 19, 20, 24, 25, 26, 27, 28)

PICK = re.compile(r"\[([^\[\]]*)\]")
SLOT = re.compile(r"\{([^{}]+)\}")
SENTENCE_START = re.compile(r"(?:^|(?<=[^A-Z][.!?] ))([a-z])")
LINK = re.compile(r"((?:by the way|By the way|To be fair|On the other hand|Oh)(?:,|:|, and) )([A-HJ-Z]|I(?=[a-z]))")
GREETING = re.compile(r"^((?:Hello|Hi|Good|Dear|Hey|To whom)[\w ]*, )([A-HJ-Z]|I(?=[a-z]))")


def lines(table: str) -> list[str]:
    """The fragments of a table."""
    return [line.strip() for line in table.strip().splitlines()]


def words(table: str) -> list[str]:
    """The entries of a list with commas."""
    return [" ".join(entry.split()) for entry in table.split(",")]


class Composer:
    """Composes one message at a time from the grammar."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.tables = {name: lines(text) for name, text in TABLES.items()}

    def compose(self, queue: str) -> str:
        """A message for this queue, in proper English, that is about one article (and perhaps its neighbour)."""
        rng = self.rng
        while True:
            self.queue = queue
            self.other, self.third = rng.sample([name for name in SHARES if name != queue], 2)
            if self.other == "feedback":  # its facts are no troubles that could be solved
                self.other, self.third = self.third, self.other
            item, item2 = rng.sample(words(ITEMS), 2)
            gadget = rng.choice(words(GADGETS))
            if "technical" in (queue, self.other) and rng.random() < 0.6:
                item = gadget
            self.fixed = {"item": item, "item2": item2, "gadget": gadget}
            self.fixed |= {"wear": rng.choice(words(CLOTHES)), "relative": rng.choice(words(RELATIVES))}
            self.fixed["order"] = str(rng.randint(204000, 918999))
            self.group = ""
            self.used: set[str] = set()
            self.articles: set[str] = set()
            forms = FORMS | FEEDBACK_FORMS if queue == "feedback" else FORMS
            form = rng.choices(list(forms), [weight for weight, _ in forms.values()])[0]
            text = self.expand(rng.choice(lines(forms[form][1])))
            if len(self.articles) < 2:
                return tidy(text)

    def expand(self, pattern: str) -> str:
        """The pattern with every choice made and every slot filled."""
        while match := PICK.search(pattern):
            branch = self.rng.choice(match[1].split("|"))
            pattern = pattern[: match.start()] + branch + pattern[match.end() :]
        return SLOT.sub(lambda match: self.fill(match[1]), pattern)

    def fill(self, slot: str) -> str:
        """Words for one slot."""
        rng = self.rng
        if slot in self.fixed:
            if slot in ("item", "wear", "gadget"):
                self.articles.add(self.fixed[slot])
            return self.fixed[slot]
        if slot == "money":
            return f"£{rng.choice(POUNDS)}.{rng.choice(PENCE)}"
        if slot in ("day", "month"):
            return rng.choice(DAYS if slot == "day" else MONTHS)
        if slot == "date":
            return f"{rng.choice(DATES)}th"
        if slot == "number":
            return str(rng.randint(6, 48))
        if slot == "letter":
            return rng.choice("ABCDEFGHJKLMNPRSTW")
        name = slot
        if slot in ("aside", "aside2"):
            name = f"{self.other if slot == 'aside' else self.third}.aside"
        elif slot.startswith("other."):
            name = slot.replace("other", self.other)
        elif f"{self.queue}.{slot}" in self.tables:
            name = f"{self.queue}.{slot}"
        fragment, group = self.fresh(name)
        if slot == "fact":
            self.group = group
        return self.expand(fragment)

    def fresh(self, name: str) -> tuple[str, str]:
        """A fragment that this message has not used and that suits its main fact, and the fragment's marks."""
        split = [fragment.partition(" @")[::2] for fragment in self.tables[name]]
        if name.endswith((".detail", ".ask")):
            split = [(text, marks) for text, marks in split if not marks or self.group in marks]
        fragment, marks = self.rng.choice([pair for pair in split if pair[0] not in self.used] or split)
        self.used.add(fragment)
        return fragment, marks


def tidy(text: str) -> str:
    """The text with single blanks, `an` where it belongs and capitals at the starts of sentences."""
    text = " ".join(text.split())
    text = re.sub(r" (?=[.,!?)])", "", text)
    text = re.sub(r"([.!?])\1+", r"\1", text)
    text = re.sub(r"([!?])\.", r"\1", text)
    text = re.sub(r"\b([Aa]) (?=[aeio]|umb)", r"\1n ", text)
    text = GREETING.sub(lambda match: match[1] + match[2].lower(), text)
    text = LINK.sub(lambda match: match[1] + match[2].lower(), text)
    return SENTENCE_START.sub(lambda match: match[1].upper(), text)


def type_out(text: str, rng: random.Random) -> str:
    """The composed text as one customer types it."""
    habit = rng.choices(list(HABITS), list(HABITS.values()))[0]
    if habit == "lower":
        text = text.lower()
    elif habit == "shout":
        text = text.upper().rstrip(".") + "!" * rng.randint(0, 3)
    elif habit == "careless":
        text = " ".join(slip(word, rng) if rng.random() < TYPO_RATE * 2 else word for word in text.split(" "))
        text = text.replace("'", "")
        if rng.random() < 0.5:
            text = text.lower()
    elif habit == "bare":
        text = re.sub(r"[.,!;:]+(?= |$)", "", text.lower())
    elif rng.random() < 0.3:
        text = contract(text)
    if rng.random() < 0.06:
        text = text.rstrip("?.") + rng.choice(["???", "...", "!!", " :(", " ??", " pls"])
    return text


def contract(text: str) -> str:
    """The text with the short forms of spoken English."""
    pairs = "do not/don't did not/didn't is not/isn't I am/I'm It is/It's it is/it's cannot/can't could not/couldn't"
    pairs += " would not/wouldn't was not/wasn't had not/hadn't have not/haven't that is/that's"
    for long, short in re.findall(r"(\w+(?: \w+)?)/(\S+)", pairs):
        text = re.sub(rf"\b{long}\b(?![.,!?])", short, text)
    return re.sub(r"\bI have(?= (?:been|had|tried|used|checked|looked|rarely)\b)", "I've", text)


def slip(word: str, rng: random.Random) -> str:
    """The word with one slip of the finger."""
    if len(word) < 4 or not word.isalpha():
        return word
    at = rng.randint(1, len(word) - 2)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return rng.choice([swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]])


def bare(text: str) -> str:
    """The text without case, punctuation and extra blanks: what counts as the same message."""
    return " ".join(re.sub(r"[^\w\s]", "", text.lower()).split())


def trigrams(text: str) -> frozenset[str]:
    """The character trigrams of a text."""
    return frozenset(text[i : i + 3] for i in range(len(text) - 2))


def too_close(grams: frozenset[str], others: list[frozenset[str]]) -> bool:
    """Whether the trigrams overlap by ALIKE or more with one of the others."""
    size = len(grams)
    for other in others:
        if min(size, len(other)) < ALIKE * max(size, len(other)):
            continue
        shared = len(grams & other)
        if shared >= ALIKE * (size + len(other) - shared):
            return True
    return False


def compose_rows() -> list[tuple[str, str]]:
    """All rows with their true queues, in random order."""
    rng = random.Random(SEED)
    composer = Composer(rng)
    rows: list[tuple[str, str]] = []
    for queue, share in SHARES.items():
        kept: list[frozenset[str]] = []
        while len(kept) < ROWS * share // 100:
            text = type_out(composer.compose(queue), rng)
            grams = trigrams(bare(text))
            if SHORTEST <= len(text.split()) <= LONGEST and not too_close(grams, kept):
                kept.append(grams)
                rows.append((text, queue))
    rng.shuffle(rows)
    return rows


def flip_labels(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same rows with FLIP_RATE of them in a wrong queue."""
    rng = random.Random(SEED + 1)
    flipped = set(rng.sample(range(len(rows)), round(len(rows) * FLIP_RATE)))
    return [
        (text, rng.choice([name for name in SHARES if name != queue]) if i in flipped else queue)
        for i, (text, queue) in enumerate(rows)
    ]


def main() -> None:
    """Write the file next to this script."""
    with OUTPUT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["message", "queue"])
        writer.writerows(flip_labels(compose_rows()))


if __name__ == "__main__":
    main()
