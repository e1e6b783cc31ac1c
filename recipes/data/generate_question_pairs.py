"""Write question_pairs.csv: invented pairs of help desk questions and whether they ask the same thing.

Why: the recipes need an English sentence pair set that works offline and that word matching cannot solve.
Every question is composed from the phrasings below; none is taken from a data set.

* same 1 = whoever answers one question has answered the other: two phrasings of one intent with the same
  product, town, month or number in both. Their words often differ completely.
* same 0 = anything else: mostly a neighbouring intent in much the same words (before or after, who or when,
  cancel or change), the same intent about another product or town, or there and back swapped.
* hard pairs are preferred on both sides and FLIP_RATE of all labels are wrong on purpose, so neither shared
  words nor perfect understanding reaches 100 percent.

Rerun with `python recipes/data/generate_question_pairs.py`: the seed is fixed and the file next to this
script comes out the same, byte for byte.

How the phrasings are written: one to a line, an empty line between intents, a line with `~` between groups
of neighbours. `[a|b]` picks one branch and never changes the meaning, `{name}` is a slot. All phrasings of
an intent have the same slots, and no two intents ask the same thing.
"""

import csv
import random
import re
from pathlib import Path
from typing import NamedTuple

SEED = 20250612
ROWS = 2400
SAME_SHARE = 0.42
FLIP_RATE = 0.02
# How a pair comes about: weight. "again" is one phrasing worded twice, "twist" a sibling in similar words.
SAME_KINDS = {"other phrasing": 74, "again": 26}
DIFFERENT_KINDS = {"twist": 46, "sibling": 16, "slot": 22, "swap": 8, "far": 8}
OUTPUT = Path(__file__).with_name("question_pairs.csv")

SLOTS = {
    "product": """kettle, winter jacket, desk lamp, backpack, bookshelf, coffee machine, suitcase, office chair, rug,
        tent, blender, bike helmet, keyboard, garden table, headset, microwave, pushchair, raincoat, drill""",
    "city": """Porto, Lyon, Ghent, Turin, Malaga, Bergen, Krakow, Graz, Cork, Leeds, Basel, Aarhus, Zadar, Bilbao,
        Utrecht, Bristol, Vienna, Prague""",
    "month": "January, February, March, April, May, June, July, August, September, October, November, December",
    "day": "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
    "amount": "50 pounds, 120 pounds, 300 pounds, 800 pounds, 2,500 pounds, 10,000 pounds",
    "count": "two, three, four, five, six, eight, ten, twelve",
}

GROUPS = """
How do I cancel my order for the {product}?
I no longer want the {product} I ordered, [what do I have to do|how do I stop it]?
Please tell me how to call off the purchase of the {product}.
Changed my mind about that {product} order, how do I get out of it?

How do I change the colour in my order for the {product}?
I picked the wrong shade when I ordered the {product}, can that be corrected?
Can my order for the {product} still be switched to [a different|another] colour?
I would like the {product} I ordered in blue instead of grey, how do I tell you?

How do I change the address in my order for the {product}?
The {product} I ordered should go to a different street, how do I tell you?
I typed the wrong house number when I ordered the {product}, can that be corrected?
Can the {product} still be sent somewhere else than I entered?

When will my order for the {product} be shipped?
What day does the {product} I bought leave [your|the] warehouse?
How long until the {product} I ordered is handed to the courier?
Have you any idea when my {product} goes out?

When will my order for the {product} arrive?
What day will the {product} I bought be at my door?
How much longer do I have to wait until the {product} is here?
Can you give me the delivery date for my {product}?

Who delivers my order for the {product}?
Which courier [brings|carries] the {product} I bought to my door?
What company will ring the bell with my {product}?
By which carrier is the {product} I ordered sent?

Can I collect my order for the {product} in the shop?
Is it possible to pick up the {product} I bought at a branch instead of having it delivered?
I would rather come and get the {product} myself, does that work?
Do you offer click and collect for the {product}?

Is the {product} in stock?
Have you got the {product} at the moment or is it sold out?
Can I get the {product} right now?
Are there any of the {product} left?

When will the {product} be back in stock?
The {product} is sold out, how long until there are new ones?
Any date yet for fresh supplies of the {product}?
How soon can I get the {product} again now that all of them are gone?
~
Can I return the {product} without the receipt?
I lost the till slip, will you still take the {product} back?
Is proof of purchase needed to give back the {product}?
Do I get my money for the {product} if I cannot show the bill?

Can I return the {product} without the box?
I threw away the packaging, will you still take the {product} back?
Is the original carton needed to give back the {product}?
Do I get my money for the {product} if it is no longer wrapped?

Can I return the {product} if I have used it?
I tried out the {product} for a few days, will you still take it back?
Does the {product} have to be untouched if I want to send it back?
Do I get my money for the {product} although it is not brand new any more?

How long do I have to return the {product}?
Until when can I send back the {product}?
What is the deadline for giving back the {product}?
After how many days is it too late to bring you the {product}?

How long does the refund take after I return the {product}?
When will I see my money once I have sent back the {product}?
You have the {product} again, how many days until I am paid?
After giving back the {product}, how soon is the sum on my card?

Who pays the postage if I return the {product}?
Sending back the {product}, is that free or at my own cost?
Do I have to buy stamps for the parcel if I give back the {product}?
Is the cost of mailing you the {product} covered by the shop?

Can I exchange the {product} for a larger one?
The {product} turned out too small, may I have the next size up?
Would you swap my {product} for a bigger model?
I need more room than this {product} has, do you switch it?

Can I have the {product} repaired under guarantee?
My {product} broke within the first year, will you mend it for free?
Does the warranty cover fixing the {product}?
The {product} stopped working within the guarantee, will you put it right at no charge?

Can I have the {product} repaired after the guarantee has ended?
My {product} broke and the warranty is over, do you still mend it?
Is there a workshop for a {product} that is too old for the guarantee?
Past the warranty period, would you fix my {product} if I pay?
~
Can I pay for the {product} in instalments?
Is it possible to pay off the {product} bit by bit?
Do you let customers spread the cost of a {product} over several months?
I cannot afford the {product} at once, may I pay monthly?

Can I pay for the {product} on delivery?
Is it possible to hand the money for the {product} to the driver?
Do you let customers settle the {product} at the door in cash?
May I pay only when the {product} is brought to me?

Can I pay for the {product} with two vouchers?
Is it possible to combine more than one gift code when buying the {product}?
I have a pair of coupons, do both count towards the {product}?
Do you let customers use several vouchers on a {product}?

How long is a gift voucher valid?
When does a gift card from you run out?
Does the voucher I was given for my birthday [expire|lapse] at some point?
Until what date do I have to spend a gift card?

How much is left on my gift voucher?
Where can I see the balance of a gift card?
I have spent part of my voucher, how do I find out what remains?
Is there a way to check the value still on a gift card?

How do I buy a gift voucher?
I would like to give somebody a voucher from you as a present, where do I get one?
Where are your gift cards sold?
Can I purchase a card for a friend to spend at your shop?

Do students get a discount on the {product}?
Is the {product} cheaper for people at university?
I have a student card, does that lower the price of the {product}?
What do I save on the {product} when I am still studying?

Will the {product} be cheaper in {month}?
Is a sale planned for {month} that includes the {product}?
Should I wait until {month} for the {product} to come down in price?
Does the cost of the {product} drop in {month}?
~
How do I block my bank card?
I lost my card, how do I stop anyone from using it?
Where do I call so that nobody can pay with my stolen card?
My wallet is gone, what is the way to get the debit card frozen?

How do I unblock my bank card?
I found my card again, how do I get it working after the freeze?
Where do I call so that my frozen card works again?
What is the way to lift the stop on my debit card?

How do I change the PIN of my card?
I would like a different number code for my card, where do I set it?
Can I choose a new PIN, the old one is known to my ex?
Where do I swap the four digits that I type at the cash machine?

What can I do if I have forgotten the PIN of my card?
The number code for my card has slipped my mind, how do I find it out?
I cannot remember the four digits for the cash machine, who helps?
Is there a way to be sent my PIN once more when I do not know it any longer?

How do I raise the limit of my card?
I would like to be able to spend more per day with my card, what do I do?
The daily maximum on my debit card is too low, who increases it?
Can I get a higher ceiling for card payments?

How do I lower the limit of my card?
I would like to be able to spend less per day with my card, what do I do?
The daily maximum on my debit card is too high, who reduces it?
Can I get a tighter cap for card payments?

How do I get a second card for my partner?
My wife should be able to use my account with a card of her own, how do we arrange it?
Can another card be issued for the person I live with?
What do I need to order an extra card for my husband?

How do I get a new card before mine expires?
My card runs out in a few weeks, does the next one come by itself?
Is the replacement sent to me automatically when the date on the card is near?
Do I have to order a card when the old one is about to end?

What does it cost to withdraw cash in {city}?
Is there a fee when I take money out of a machine in {city}?
How much do you charge at cash machines in {city}?
Does using an ATM in {city} come free with my card?

What does it cost to pay by card in {city}?
Is there a fee when I use my card in the shops of {city}?
How much do you charge for card purchases in {city}?
Can I use my card for shopping in {city} free of charge?
~
What do I need to open an account?
Which papers do you want to see from a new bank customer?
I would like to bank with you, what should I bring along?
Are a passport and a proof of address enough to become a customer of your bank?

What do I need to close an account?
I want to leave the bank, which papers do you want?
How do I end my current account with you, what has to be handed in?
Which form do I fill in if I no longer wish to bank with you?

How do I add somebody to my account?
My husband should be able to use my account as well, what do we have to do?
Can I turn my current account into one for two people?
We married, how does my account become ours?

How do I remove somebody from my account?
My ex should no longer be able to use our account, what do I have to do?
Can I turn our joint account into one for me alone?
We split up, how does our account become mine only?

How old does my child have to be to open an account?
What is the minimum age for a bank account of one's own?
From which birthday on can my daughter become a customer of the bank?
Is my son too young to have an account?

How much does my child's account cost?
Is there a monthly charge on a bank account for kids?
Do you ask for fees when my daughter becomes a customer of the bank?
Is banking free for my son until he grows up?

How much interest do I get on {amount} in savings?
What does {amount} earn me in a savings account?
If I put aside {amount}, what do you pay me per year?
What is the return on {amount} that I leave with you?

How much interest do I pay on {amount} of overdraft?
What does it cost me to be {amount} in the red?
If I overdraw by {amount}, what do you charge me per year?
What is the price of going {amount} below zero?
~
How long does a transfer of {amount} to {city} take?
When does {amount} that I send to somebody in {city} get there?
I am sending {amount} to {city}, how many days until it is on the other account?
How soon can my aunt in {city} spend the {amount} I wire her?

How much does a transfer of {amount} to {city} cost?
What do you charge if I send {amount} to somebody in {city}?
I am wiring {amount} to {city}, what are the fees?
Is it expensive to get {amount} to an account in {city}?

How long does a transfer of {amount} from {city} take?
When do I get {amount} that somebody in {city} sends me?
My aunt in {city} is wiring me {amount}, how many days until it is on my account?
{amount} was paid in to me in {city}, how soon can I spend it?

How do I set up a standing order of {amount}?
I want {amount} to be paid automatically every month, where do I enter that?
Is there a way to send {amount} regularly without typing it in each time?
My rent is {amount}, how do I have it go out by itself?

How do I cancel a standing order of {amount}?
I no longer want {amount} to be paid automatically every month, where do I stop that?
Every month {amount} goes out by itself, how do I end this?
Where can I delete the regular payment of {amount}?

How do I change a standing order to {amount}?
From now on {amount} should be paid automatically every month, where do I correct the old sum?
My regular payment has to become {amount}, how is that done?
The rent is {amount} now, how do I adapt the payment that goes out by itself?

Can I get back a transfer of {amount}?
I sent {amount} to the wrong account, is there a way to recall it?
{amount} went out by mistake, will you reverse that?
How do I undo a payment of {amount} to a stranger?

Can I pay back {amount} of my loan early?
I have come into money, may I clear {amount} of my debt ahead of time?
Is it allowed to put {amount} towards the credit before it is due?
Do you accept an extra payment of {amount} on the loan?

Can I pay back {amount} of my loan later?
I am short of money, may I put off {amount} of my debt?
Is it allowed to hand in {amount} for the credit after it is due?
Do you give me more time for {amount} of the loan?

Can I borrow another {amount}?
Is it possible to increase the loan by {amount}?
I still need {amount} on top of my credit, will you lend it to me?
Do you grant me {amount} more?
~
How much is a train ticket from {city} to {city2}?
What do I pay to go by rail from {city} to {city2}?
I live in {city} and want to take the train to {city2}, what is the fare?
Price of a rail journey, {city} to {city2}?

How long does the train from {city} to {city2} take?
How many hours do I sit on the train between leaving {city} and reaching {city2}?
I live in {city} and want to take the train to {city2}, when would I be there if I left at noon?
Travel time by rail, {city} to {city2}?

When does the last train from {city} to {city2} leave?
How late at night can I still get a train from {city} to {city2}?
I am in {city} until the evening, what is my final chance to reach {city2} by rail?
After what time do no more trains go from {city} to {city2}?

When does the first train from {city} to {city2} leave?
How early in the morning can I get a train from {city} to {city2}?
I want to be out of {city} at dawn, when can I start for {city2} by rail?
Before what time do no trains go from {city} to {city2}?

Do I have to change trains from {city} to {city2}?
Is there a direct train that goes from {city} to {city2}?
Can I stay in my seat all the way from {city} to {city2}?
By rail from {city} to {city2}, is it without a change?

Can I take my bike on the train from {city} to {city2}?
Are bicycles allowed on the line from {city} to {city2}?
I have a bike with me in {city}, may it come along on the train to {city2}?
Is there room for my bicycle when I travel from {city} to {city2} by rail?

Can I take my dog on the train from {city} to {city2}?
Are pets allowed on the line from {city} to {city2}?
I have a puppy with me in {city}, may it come along on the train to {city2}?
Is there room for a four-legged friend when I travel from {city} to {city2} by rail?

Do I have to reserve a seat on the train from {city} to {city2}?
Is a seat booking compulsory on the line from {city} to {city2}?
Can I just get on in {city} and ride to {city2} without having reserved?
By rail from {city} to {city2}, is an ordinary ticket without a numbered place enough?
~
Do I get my money back if I miss the train?
I came too late to the platform, is my ticket refunded?
What happens to the fare if I was not there when the train left?
Is the price paid back when a passenger oversleeps?

Do I get my money back if the train is cancelled?
The train did not run, is my ticket refunded?
What happens to the fare if you call off the journey?
Is the price paid back when the railway drops a connection?

Do I get my money back if the train is late?
The train arrived two hours behind time, am I compensated?
What happens to the fare if you make me wait?
Is part of the price paid back when there is a delay?

Can I change the date of my train ticket?
I want to travel a week later than booked, is the ticket still good?
Could my booking be moved to another day?
Is it possible to use the ticket on a different date?

Can I change the name on my train ticket?
I want my brother to travel in my place, is the ticket still good?
Could my booking be passed on to somebody else?
Is it possible for a different person to use the ticket?

Can I buy the ticket on the train?
Is it all right to get on first and pay the conductor?
Do I have to have a ticket before I board?
Are tickets sold during the ride?

Can I show the ticket on my phone?
Is it all right to have the ticket on a screen only?
Do I have to print the ticket before I board?
Will the conductor accept a ticket that is not on paper?

From what age do children pay on the train?
How old may my daughter be to ride for free?
Until which birthday does a child need no ticket?
My son is little, when do I have to buy him a ticket for the railway?

From what age can children travel alone on the train?
How old must my daughter be to ride without us?
Until which birthday does a child need a grown-up on the train?
My son wants to visit his grandmother by rail on his own, when may he?
~
How heavy may my suitcase be on the flight to {city}?
What is the weight limit for checked baggage to {city}?
I fly to {city}, how many kilos can I hand in?
At how many kilos do I pay extra for the big bag to {city}?

How large may my hand luggage be on the flight to {city}?
What size of bag can I take into the cabin to {city}?
I fly to {city}, which measures must my carry-on have?
Will my small rucksack fit the rules for the cabin to {city}?

When does check-in open for the flight to {city}?
How early can I get my boarding pass to {city}?
I fly to {city}, from when on can I check in?
How many hours in advance do you let me check in for {city}?

When does check-in close for the flight to {city}?
How late can I get my boarding pass to {city}?
I fly to {city}, until when can I check in?
By what time must I be at the counter for {city}?

Do I need a visa to fly to {city}?
Can I enter the country with just my passport when I go to {city}?
Is there any permit I must apply for before my trip to {city}?
For {city}, does my passport do without a stamp from the embassy?

Do I need a vaccination to fly to {city}?
Can I enter the country without any jabs when I go to {city}?
Is there any injection I must have before my trip to {city}?
For {city}, do they want to see a vaccination card?

What should I do if my suitcase is lost on the way to {city}?
I have landed in {city} and my bag has not, who helps?
My luggage never came out on the belt in {city}, where do I report that?
Whom do I tell that my case went missing on the flight to {city}?

What should I do if my suitcase is damaged on the way to {city}?
I have landed in {city} and a wheel of my bag is broken, who helps?
My luggage came out on the belt in {city} with a big crack, where do I report that?
Whom do I tell that my case was smashed on the flight to {city}?

Is there a meal on the flight to {city}?
Do you serve food on board when I go to {city}?
I fly to {city}, should I bring sandwiches?
Will I get something to eat above the clouds on the way to {city}?
~
From when on can I check in at the hotel in {city}?
What is the earliest time I can have the key to my room in {city}?
When is my room in {city} ready on the day I arrive?
At what hour may guests move in at your house in {city}?

Until when can I check in at the hotel in {city}?
What is the latest time I can have the key to my room in {city}?
How late at night is the desk in {city} still open to guests who arrive?
I get to {city} close to midnight, will somebody let me in?

Until when do I have to check out at the hotel in {city}?
What is the latest time I must hand back the key to my room in {city}?
When do I have to be out of my room in {city} on the last day?
At what hour must guests leave at your house in {city}?

Can I leave my bags at the hotel in {city} after check-out?
My flight home is in the evening, may my luggage stay at your house in {city}?
Is there a place for suitcases once I have given back the room in {city}?
Do you look after cases on the last day in {city}?

Can I leave my bags at the hotel in {city} before check-in?
My flight gets in at dawn, may my luggage wait at your house in {city}?
Is there a place for suitcases until the room in {city} is ready?
Do you look after cases on the first day in {city}?

Is breakfast included at the hotel in {city}?
Do I have to pay extra for the morning meal in {city}?
Does the price of the room in {city} come with breakfast?
Is the buffet in the morning part of the rate in {city}?

When is breakfast served at the hotel in {city}?
What time is the morning meal in {city}?
Between which hours can I eat in the morning at your house in {city}?
How early does the buffet open in {city}?

Is parking included at the hotel in {city}?
Do I have to pay extra to leave my car in {city}?
Does the price of the room in {city} come with a space in the garage?
Is a place for the car part of the rate in {city}?

Can you put an extra bed into the room in {city}?
We are one more than planned, could somebody sleep on a spare bed in {city}?
Is it possible to have another bed set up for us in {city}?
Our room in {city} is short of one bed, can that be added?

Can you put a cot into the room in {city}?
We are coming with a baby, is there something for it to sleep in at your house in {city}?
Is it possible to have a bed for an infant set up for us in {city}?
Our newborn needs a place to sleep in {city}, can you arrange it?
~
Can I pick up the car in {city} and return it in {city2}?
I want to collect the rental in {city} and drop it off in {city2}, is that possible?
Is it all right to hand in a car in {city2} that I rented in {city}?
Do you do one-way hire starting in {city} and ending in {city2}?

Is it extra if I pick up the car in {city} and return it in {city2}?
What is the surcharge for collecting the rental in {city} and dropping it off in {city2}?
How much more is it to hand in a car in {city2} that I rented in {city}?
What do you charge for one-way hire starting in {city} and ending in {city2}?

Can a second person drive the rental car?
Is my wife allowed behind the wheel of the car I hire?
May we take turns at driving the rented car?
Can another driver be put on the hire contract?

How old must I be to drive a rental car?
What is the minimum age for hiring a car?
From which birthday on do you let people rent a car?
Am I too young at twenty to take out one of your cars?

How long must I have had a licence to drive a rental car?
I passed my driving test recently, will you let me hire a car?
Do you rent cars to new drivers?
How many years of driving do you ask for before I can take a car?

Do I have to fill up the rental car before I return it?
Is it all right to bring back the car with an empty tank?
Should the tank be full when I hand in the hire car?
Who pays for the petrol that is missing when the rental ends?

Is the rental car full when I pick it up?
Do I start with a full tank or an empty one?
Will I have to find a petrol station as soon as I leave your yard?
How much petrol is in the hire car at the beginning?

What happens if I return the rental car late?
I will not make it back in time with the car, what do you charge?
Is there a fine for bringing back the hire car a few hours after the agreed time?
What does it cost to keep the car longer than booked without telling you?

What happens if I return the rental car early?
I will be back with the car sooner than planned, do I save anything?
Is money refunded for bringing back the hire car a few hours before the agreed time?
What do I get for not keeping the car as long as booked?

What should I do if the rental car breaks down?
Whom do I call when the hire car will not start any more?
The engine died on the motorway in your car, and now?
Who helps me on the road if the rented car stops running?
~
How many books can I borrow at once?
What is the largest number of books I may take home?
Is there an upper limit to the pile I carry out of the library?
How many titles can be on my card at the same time?

How long can I borrow a book?
For how many weeks may I take a book home?
When do I have to bring back what I take out today?
What is the loan period of the library?

How often can I renew a book?
How many times may I extend a loan?
I have already prolonged my book once, can I do so again?
What is the maximum number of extensions for a library book?

How do I renew a book?
What do I have to do to keep a book for longer?
I have not finished my library book, where do I extend the loan?
Can the date on which my book is due be moved back?

How do I reserve a book?
What do I have to do to be next in line for a book that is out?
Somebody else has the novel I want, where do I put my name down?
Can a title be held for me as soon as it comes back?

How do I cancel a reservation for a book?
What do I have to do so that a book is no longer kept for me?
I do not need the novel I put my name down for, where do I tell you?
Can I take myself off the waiting list for a title?

What happens if I return a book late?
Is there a fine when a loan is overdue?
How much do you charge per day after the due date?
I forgot to bring back a novel in time, what will it cost me?

What happens if I lose a book?
Is there something to pay when a loan cannot be found?
I left a novel of yours on the bus, do I have to replace it?
The library book has disappeared from my shelf, what now?

Can I return a book when the library is closed?
Is there a box where I can drop my books at night?
Outside opening hours, how do I give back what I borrowed?
May I hand in a novel on a holiday, with nobody at the desk?

Can I suggest that the library buys a book?
You do not have a title I want, do you take wishes for the collection?
How do I tell you which novel should be on your shelves?
Who decides on new purchases and listens to readers' ideas?
~
How do I cancel my gym membership?
I want to leave the gym for good, what do I have to do?
Where do I send the letter that ends my contract with the studio?
I am done with training, how do I get out of the contract?

How do I pause my gym membership?
I cannot train for a while, can the contract be put on hold?
Where do I send the letter that stops my payments to the studio until I am fit again?
I am injured and will be back, how do I freeze my contract?

How do I extend my gym membership?
I want to stay at the gym for another year, what do I have to do?
My contract with the studio is about to end and I like it, how do I go on?
Where can I renew with the gym?

Can I bring a friend to the gym on {day}?
Is it possible for my sister to train with me as a guest on {day}?
I do not want to come alone on {day}, may I take somebody along?
Do you let members have company on {day}?

When does the gym open on {day}?
How early can I start training on {day}?
From what time on are you there on {day}?
I get up with the birds, when are the doors unlocked on {day}?

When does the gym close on {day}?
How late can I still be training on {day}?
Until what time are you there on {day}?
I am a night owl, when are the doors locked on {day}?

How do I book the yoga course on {day}?
Where do I sign up for yoga on {day}?
I want a mat in the {day} yoga class, how do I get one?
Can you put me down for yoga on {day}?

How do I cancel the yoga course on {day}?
Where do I sign off from yoga on {day}?
I cannot make it to the {day} yoga class, how do I give up my place?
Can you take me off the list for yoga on {day}?

Who teaches the yoga course on {day}?
Which trainer takes yoga on {day}?
What is the name of the teacher in the {day} yoga class?
Who stands in front of us for yoga on {day}?

Is the sauna part of the gym membership?
May members use the sauna without paying more?
Does the monthly fee of the studio cover sweating in the hot room?
Do I need an extra ticket to go into the sauna as a member?
~
How do I apply for my first passport?
I have never had a passport, where do I ask for one?
What are the steps for somebody who needs a passport for the very first time?
No passport so far, how do I come by one?

How do I renew my passport?
My passport runs out soon, where do I ask for the next one?
What are the steps for somebody whose passport is about to expire?
The date in my passport is nearly over, what now?

What should I do if I have lost my passport?
My passport is nowhere to be found, whom do I tell?
What are the steps for somebody whose passport has been stolen or mislaid?
I left my passport on a bus, how do I report it?

What does a passport cost?
How much do I pay at the counter for a passport?
What is the fee for a new passport?
Which sum do I have to bring along when I ask for a passport?

How long does a passport take?
How many weeks do I wait for a passport?
When will my new passport be ready?
I have asked for a passport today, how soon can I travel with it?

How long is a passport valid?
How many years can I use a passport?
When will the passport I get now run out?
After what time do I have to replace a passport?

Can somebody else collect my passport?
Is it all right to send my brother for my passport when it is ready?
Do I have to come in person to fetch the finished passport?
May a friend pick up the passport in my place?

Can somebody else apply for my passport?
Is it all right to send my brother to ask for a passport in my name?
Do I have to come in person to request a passport?
May a friend hand in the papers for the passport in my place?

How do I cancel my appointment at the city hall on {day}?
I cannot come to the town office on {day}, where do I say so?
Please delete my slot at the town office on {day}, how is that done?
Something came up on {day}, how do I call off my visit to the city hall?

How do I get an appointment at the city hall on {day}?
I need to come to the town office on {day}, where do I book?
Please give me a slot at the town office on {day}, how is that done?
I am free on {day}, how do I arrange a visit to the city hall?
~
Where do I register my new address?
I have moved into town, whom do I tell where I live now?
Which office writes down the address of newcomers?
We have a flat here since last week, where must we sign in as residents?

Until when do I have to register my new address?
I have moved into town, how many days do I have to tell the office?
What is the deadline for newcomers to report their address?
Is there a fine if I wait a month before I sign in as a resident?

Where do I register my dog?
I have a puppy now, whom do I tell about it for the tax?
Which office puts down new dogs?
We have taken in a dog, at what counter do we sign it up?

Where do I deregister my dog?
My dog died, whom do I tell because of the tax?
Which office takes dogs off the list?
We have given away our dog, at what counter do we sign it off?

How do I apply for a residents' parking permit?
I live in the centre, where do I get the paper that lets me park in my street?
What is the procedure for a parking card for people who live here?
Where is the sticker for parking at my own front door handed out?

How do I pay a parking fine?
I found a ticket behind my wiper, where does the money go?
What is the procedure for settling a penalty for wrong parking?
Which account takes the payment for a parking ticket?

How do I appeal against a parking fine?
I found a ticket behind my wiper and it is not fair, where do I object?
What is the procedure for contesting a penalty for wrong parking?
I was parked correctly and still fined, who will look at it again?

When is bulky waste collected in {month}?
On which day in {month} can I put an old sofa on the street?
What date does the lorry for large rubbish come in {month}?
We clear out our flat in {month}, when are the big pieces picked up?

How do I order a larger bin?
Our rubbish does not fit in any more, how do we get a bigger dustbin?
Where do I ask for more space for waste?
The family has grown and the bin is always full, can you bring us a bigger one?

How do I order a smaller bin?
Our bin is never full, how do we get a little one?
Where do I ask for less space for waste and a lower fee?
The children have moved out and there is hardly any rubbish, can you swap the dustbin?

Why was my bin not emptied?
Our rubbish was left standing, what is the reason?
The lorry drove past our dustbin, how come?
All the neighbours have empty bins and mine is still full, was something wrong with it?
~
Can I get an appointment with the doctor on {day}?
Has the doctor any time for me on {day}?
I would like to see the doctor, is there a slot on {day}?
Could you fit me in at the practice on {day}?

Can I move my appointment with the doctor to {day}?
Has the doctor time on {day} instead of the day we agreed?
I cannot come when I was booked, would {day} be possible?
Could you shift my visit at the practice to {day}?

Is the doctor on call on {day}?
Is the doctor there for emergencies on {day}?
If I fall ill on {day}, can I ring the doctor?
Could I reach the doctor on {day} if it is urgent?

May I eat before the blood test?
Do I have to come to the blood test with an empty stomach?
Is breakfast forbidden until my blood has been taken?
Can I have my usual toast on the morning when you take blood?

May I eat right after the blood test?
Do I have to keep an empty stomach for a while when the blood test is done?
Is breakfast all right as soon as my blood has been taken?
Can I have my toast straight after you take blood?

When do I get the results of the blood test?
How long does the lab need for my blood?
My blood was taken today, how many days until you know more?
What day will you have the values of my blood test?

How do I get the results of the blood test?
Do you post the lab report or do I have to fetch it?
My blood was taken today, will you ring me or should I come by?
In what way will I be told the values of my blood test?

Can I get a repeat prescription without seeing the doctor?
My tablets are used up, can you write me the next pack without a visit?
I take the same pills as ever, do I have to come in for a new slip?
Is it enough to ring if I need the same medicine again?

Can I get a sick note without seeing the doctor?
I have a cold and my boss wants a paper, do I have to come in?
Is it enough to ring if I need something in writing for work?
Will you certify that I am ill over the phone?
~
How do I register my child for school?
My daughter turns six, where do I sign her up for lessons?
What do we have to do so that our son gets a place at your school?
We would like to send our child to you, how does enrolment work?

How do I take my child out of school?
We are moving away, where do I sign off our daughter from lessons?
What do we have to do so that our son can leave your school?
Our child will change to another school, how do we tell you?

Whom do I tell if my child is ill?
My daughter has a fever, who at the school has to know?
Our son will miss lessons because of a cold, where do I ring?
Which number do I call in the morning when my child has to stay in bed?

When do I have to tell you if my child is ill?
My daughter has a fever, by what time does the school have to know?
Our son will miss lessons because of a cold, how early should I ring?
Until what hour in the morning can I report that my child has to stay in bed?

When do the school holidays start in {month}?
What is the last day of lessons in {month}?
From which date on are the pupils free in {month}?
How far into {month} do the children have to go to school before the break?

When do the school holidays end in {month}?
What is the first day of lessons in {month}?
Until which date are the pupils free in {month}?
How far into {month} can the children sleep in before it all starts again?

How much does lunch at school cost on {day}?
What do I pay for my son's warm meal on {day}?
Is the canteen dear on {day}?
Which sum should my daughter have with her for the canteen on {day}?

What is for lunch at school on {day}?
Which meal will my son get on {day}?
Do you have the menu of the canteen for {day}?
What will my daughter find on her plate in the canteen on {day}?

How do I cancel lunch at school on {day}?
My son does not need a warm meal on {day}, where do I tell you?
Can my daughter be taken off the canteen list for {day}?
We will fetch our child before the meal on {day}, how do I sign off?
~
How do I switch to a cheaper phone plan?
I pay too much for my mobile, how do I move to a smaller tariff?
I hardly ever call anyone, can I have a contract for less money?
Where can I downgrade my plan?

How do I switch to a phone plan with more data?
My mobile data never lasts, how do I move to a bigger tariff?
I am always online, can I have a contract with more gigabytes?
Where can I upgrade my plan?

Can I keep my number when I leave you?
I am off to another provider, will my number come with me?
Do I lose my phone number if I end the contract?
After I cancel, can the number I have had for years be used elsewhere?

Can I keep my number when I come to you?
I am leaving another provider, will you take over my number?
Do I lose my phone number if I start a contract with you?
Before I sign, can the number I have had for years be brought along?

Why is my internet so slow?
Pages take for ever to load at my home, what is the reason?
What is wrong with my line, a film stops every minute?
I have only a fraction of the speed I pay for, how come?

Why is my internet bill so high?
You charged me far more for the line than usual, what is the reason?
What is this large sum for my connection?
I am asked for twice the price I agreed to for the internet, how come?

How do I take my internet contract to a new flat?
I am moving house, what happens to my line?
We change address, can the connection be switched over?
New home, same contract: how do I have the internet moved?

How do I return the router?
My contract is over, where do I send the box with the blinking lights?
You want your modem back, what is the way to do that?
Is there a label for mailing you the router I no longer need?

How do I restart the router?
The box with the blinking lights hangs, what do I press?
How do I switch the modem off and on again properly?
What is the way to make the router boot afresh?

How much do calls from {city} cost me?
I am on holiday in {city}, what do I pay per minute to ring home?
What are the roaming charges when I phone from {city}?
Is it expensive to use my mobile for calls while I am in {city}?

How much do calls to {city} cost me?
I am at home, what do I pay per minute to ring my friend in {city}?
What are the charges when I phone somebody in {city}?
Is it expensive to dial a number in {city} from my living room?
~
How do I tell you the meter reading for {month}?
Where do I enter what my meter shows in {month}?
I have written down the number on the electricity meter in {month}, whom do I send it to?
By what route do you want the reading in {month}?

Who reads the meter in {month}?
Is it your people or me who looks at the meter in {month}?
Does somebody come to our cellar in {month} to note the number on the electricity meter?
Will I have a visit from a meter reader in {month}?

When is the meter read in {month}?
On which date in {month} do you look at the meter?
What day in {month} does somebody come to our cellar to note the number?
I have to be in for the meter reader in {month}, when exactly?

Can I pay more for electricity each month from {month} on?
I want to avoid a big bill at the end, may I raise the instalments from {month}?
From {month} my monthly sum for power should go up, is that possible?
Would you take a higher amount every month starting in {month}?

Can I pay less for electricity each month from {month} on?
I use hardly any power, may I lower the instalments from {month}?
From {month} my monthly sum for power should go down, is that possible?
Would you take a smaller amount every month starting in {month}?

When is the power switched off in our street on {day}?
At what time will we be without electricity on {day}?
From what hour on does nothing work in our street on {day}?
How early on {day} does the planned power cut begin?

When is the power switched on again in our street on {day}?
At what time will we have electricity again on {day}?
Until what hour does nothing work in our street on {day}?
How late on {day} does the planned power cut end?

Why is the power switched off in our street on {day}?
What is the reason for our being without electricity on {day}?
Is it building works that leave our street in the dark on {day}?
What are you doing on {day} that needs a power cut?
~
How much is a ticket for {count} people?
What do {count} of us pay at the door of the museum?
We are {count}, what is the entrance fee?
Which sum do I have to bring to get {count} visitors in?

Is there a discount for {count} people?
Do {count} of us get in cheaper as a group?
We are {count}, is there something off the entrance fee?
Does the museum have a special price when {count} visitors come together?

Can we book a guided tour for {count} people?
Could somebody show {count} of us round?
We are {count}, is there a guide who would take us through the rooms?
Is it possible to have the museum explained to {count} visitors by an expert?

How long does a guided tour for {count} people take?
When will {count} of us be out again if somebody shows us round?
We are {count}, how much time does the guide need to take us through the rooms?
How many hours should {count} visitors plan for the walk with an expert?

May I take photos in the museum?
Is my camera allowed near the pictures?
Can visitors snap the paintings with their phone?
Do I have to leave my camera in the bag when I look at the art?

May I take my bag into the museum?
Is my rucksack allowed near the pictures?
Can visitors carry luggage through the rooms?
Do I have to leave my things in the cloakroom when I look at the art?

Can I give back my theatre tickets for {day}?
I cannot come to the play on {day}, do I get my money back?
Do you refund seats for {day} that I do not need any more?
What happens to my payment if I stay at home on {day} instead of watching the play?

Can I exchange my theatre tickets for {day}?
I cannot come to the play on {day}, may I see it on another evening?
Do you swap seats for {day} against a different date?
Is it possible to be there a week after {day} with the same theatre tickets?

Are there any theatre tickets left for {day}?
I would like to come to the play on {day}, is it sold out?
Do you still have seats for {day}?
Is it too late to get into the theatre on {day}?

Will I be let in if I come late to the theatre on {day}?
I cannot be on time for the play on {day}, may I slip in during the first act?
Do you keep the doors shut on {day} once the play has begun?
My train is delayed on {day}, is there a way to my seat after the start?
~
Can I book a table for {count} people on {day}?
Have you room for {count} of us for dinner on {day}?
We are {count} and would like to eat at your place on {day}, is that possible?
Please keep a table on {day} for {count}, will that work?

Can I cancel the table for {count} people on {day}?
We were {count} with a reservation on {day} and now nobody comes, is that a problem?
Our dinner for {count} on {day} falls through, may I call it off?
Please give away our table on {day} for {count}, will that work?

How long can {count} people keep the table on {day}?
When do the {count} of us have to get up from dinner on {day}?
We are {count} and like to sit for hours on {day}, is there a time limit?
Will you want our table on {day} for {count} back at some point?

Is there a menu without meat on {day}?
What can vegetarians eat at your place on {day}?
My daughter does not touch meat, will she find a dish on {day}?
Do you cook anything green for people who avoid steak on {day}?

Is there a menu without nuts on {day}?
What can people with a nut allergy eat at your place on {day}?
My daughter must not touch nuts, will she find a dish on {day}?
Do you cook anything safe for somebody who swells up from almonds on {day}?

When does the swimming pool open on {day}?
How early can I jump into the water on {day}?
From what time on can we swim on {day}?
I want to do my lengths before work on {day}, when do you let people in?

When does the swimming pool close on {day}?
How late can I still be in the water on {day}?
Until what time can we swim on {day}?
I want to do my lengths after work on {day}, when do you send people home?

When is the swimming pool empty on {day}?
At what hour are there the fewest people in the water on {day}?
What is the quietest time for a swim on {day}?
I hate crowds, when should I do my lengths on {day}?

How much does the swimming pool cost for {count} children?
What do I pay if I take {count} kids to the water?
Which sum gets {count} little ones past the till of the pool?
I am coming with {count} children, what is the fee for a swim?

How many grown-ups must go with {count} children to the swimming pool?
Is one adult enough if {count} kids want to go into the water?
Who has to watch {count} little ones at the pool, a single parent or more?
I am coming with {count} children, do I need a helper for the swim?
~
How do I report damage to my insurance?
A pipe burst in my kitchen, whom do I tell so that you pay?
Something of mine is broken, where do I file a claim?
What are the steps after an accident to get my costs covered?

How long do I have to report damage to my insurance?
A pipe burst in my kitchen, until when do I have to tell you?
Something of mine is broken, what is the deadline for a claim?
How many days after an accident is it too late to get my costs covered?

How long does my insurance take to pay for damage?
A pipe burst in my kitchen and you know all about it, when do I get the money?
I filed a claim, how many weeks until the sum is on my account?
How soon after an accident are my costs paid?

Does my insurance pay if my bike is stolen from the street?
Somebody took my bicycle in front of the shop, am I covered?
I leave my bike outside at night, will you replace it if it goes?
Is theft of a bicycle outdoors part of my policy?

Does my insurance pay if my bike is stolen from the cellar?
Somebody took my bicycle from the basement, am I covered?
I leave my bike under the house at night, will you replace it if it goes?
Is theft of a bicycle from a locked room part of my policy?

Does my insurance pay if my bike is damaged in the street?
Somebody drove into my bicycle in front of the shop, am I covered?
I leave my bike outside at night, will you mend it if it gets bent?
Is harm to a bicycle outdoors part of my policy?

Can I cancel my insurance in {month}?
Is {month} a time when I can get out of my policy?
I would like to end my cover, does {month} work?
If I write to you, am I free of the contract in {month}?

Can I change my insurance in {month}?
Is {month} a time when I can alter my policy?
I would like to have different cover, does {month} work?
If I write to you, do you adapt the contract in {month}?

When do I have to pay my insurance in {month}?
On which date in {month} is the money for my policy due?
What day in {month} do you collect for my cover?
How far into {month} do I have time to settle the premium?

How much do I have to pay for my insurance in {month}?
Which sum is due for my policy in {month}?
What do you collect in {month} for my cover?
How high is the premium in {month}?
"""

# Ways into and out of a question that change nothing.
BEFORE = ["Hi, ", "Hello, ", "Quick question: ", "One more thing: ", "Good morning, ", "Sorry to ask, but ", "Hey, "]
AFTER = [" Thanks.", " Thank you!", " Thanks a lot.", " I could not find it on your pages.", " Please let me know."]
ALIKE_WORDS = {  # the same said in other words, at the start of a question or after a comma
    "how do i ": ["how can I ", "what is the way to ", "how would I ", "what must I do to "],
    "can i ": ["may I ", "am I able to ", "is it okay if I ", "is it possible that I "],
    "may i ": ["can I ", "am I allowed to ", "is it all right if I "],
    "is it possible to ": ["could I ", "is there a way to "],
    "is it all right to ": ["may I ", "is it fine to "],
    "i would like ": ["I'd like ", "I want "],
    "do i have to ": ["must I ", "do I need to ", "am I obliged to "],
    "what should i do ": ["what must I do ", "what do I do "],
    "when does the ": ["at what time does the ", "when exactly does the "],
    "how long does ": ["how much time does "],
    "where do i ": ["where can I ", "where exactly do I "],
    "which ": ["what "],
    "whom do i tell ": ["who has to know ", "who needs to be told "],
}
CLAUSES = re.compile(r"((?:I|We|My|Our|Our son|Somebody) [^,]*), ([^,]*)\?")  # may stand the other way round
TYPO_RATE = 0.03  # per word of a careless writer
TWISTS = 6  # a twist is drawn from so many of the closest phrasings of the neighbours

PICK = re.compile(r"\[([^\[\]]*)\]")
SLOT = re.compile(r"\{(\w+)\}")


class Intent(NamedTuple):
    """One thing to ask: the group of its neighbours and the ways to say it."""

    group: int
    phrasings: list[str]


def read_intents() -> list[Intent]:
    """All intents of GROUPS in their order."""
    return [
        Intent(number, intent.strip().splitlines())
        for number, group in enumerate(GROUPS.split("~"))
        for intent in group.strip().split("\n\n")
    ]


def draw_values(rng: random.Random) -> dict[str, str]:
    """A value for every slot, with two different towns."""
    values = {name: rng.choice(slot_values(name)) for name in SLOTS}
    values["city"], values["city2"] = rng.sample(slot_values("city"), 2)
    return values


def slot_values(name: str) -> list[str]:
    """What may stand in a slot."""
    return re.split(r",\s+", SLOTS[name.rstrip("2")])


def other_value(intent: Intent, values: dict[str, str], rng: random.Random) -> dict[str, str]:
    """The values with one that this intent uses exchanged."""
    name = rng.choice(sorted(set(SLOT.findall(intent.phrasings[0]))))
    taken = (values[name], values["city"], values["city2"])
    return values | {name: rng.choice([value for value in slot_values(name) if value not in taken])}


def word_sets_overlap(first: str, second: str) -> float:
    """The part of the words that two phrasings share."""
    one, two = (set(re.findall(r"[\w{}]+", text.lower())) for text in (first, second))
    return len(one & two) / len(one | two)


def fill(phrasing: str, values: dict[str, str], rng: random.Random) -> str:
    """The phrasing with every choice made and every slot filled."""
    text = PICK.sub(lambda match: rng.choice(match[1].split("|")), phrasing)
    return SLOT.sub(lambda match: values[match[1]], text)


def reword(text: str, rng: random.Random) -> str:
    """The same question in other words or in another order."""
    for start, others in ALIKE_WORDS.items():
        if found := re.search(rf"(^|, ){start}", text, re.IGNORECASE):
            text = text[: found.start()] + found[1] + rng.choice(others) + text[found.end() :]
            break
    if (match := CLAUSES.fullmatch(text)) and rng.random() < 0.6:
        text = f"{match[2]}? {match[1]}."
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"(?<=\? )", text))


def type_out(text: str, rng: random.Random) -> str:
    """The question as one customer types it."""
    if rng.random() < 0.22:
        keep = re.match(r"(I|[A-Z]\w+ and|I'd)\b", text)
        text = rng.choice(BEFORE) + (text if keep else text[0].lower() + text[1:])
    if rng.random() < 0.12:
        text += rng.choice(AFTER)
    if rng.random() < 0.10:
        text = " ".join(slip(word, rng) if rng.random() < TYPO_RATE else word for word in text.split(" "))
    if rng.random() < 0.14:
        text = text.lower()
    if rng.random() < 0.08:
        text = text.rstrip("?.!")
    return text


def slip(word: str, rng: random.Random) -> str:
    """The word with one slip of the finger."""
    if len(word) < 4 or not word.isalpha():
        return word
    at = rng.randint(1, len(word) - 2)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return rng.choice([swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]])


class Pairs:
    """Composes pairs of questions, every intent about as often as the others."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.intents = read_intents()
        self.queue: list[Intent] = []

    def next_intent(self) -> Intent:
        """The next intent of a shuffled round through all of them."""
        if not self.queue:
            self.queue = self.rng.sample(self.intents, len(self.intents))
        return self.queue.pop()

    def compose(self, same: bool) -> tuple[str, str] | None:
        """A pair with this truth, or nothing if the intent drawn does not allow the kind drawn."""
        kinds = SAME_KINDS if same else DIFFERENT_KINDS
        kind = self.rng.choices(list(kinds), list(kinds.values()))[0]
        intent, values = self.next_intent(), draw_values(self.rng)
        first, second = self.rng.sample(intent.phrasings, 2)
        values2 = values
        if kind == "again":
            second = first
        elif kind in ("twist", "sibling"):
            first, second = self.sibling(intent, close=kind == "twist")
        elif kind == "far":
            stranger = self.rng.choice([other for other in self.intents if other.group != intent.group])
            second = self.rng.choice(stranger.phrasings)
        elif kind in ("slot", "swap"):
            if ("{city2}" if kind == "swap" else "{") not in first:
                return None
            values2 = values | {"city": values["city2"], "city2": values["city"]}
            if kind == "slot":
                values2 = other_value(intent, values, self.rng)
            if self.rng.random() < 0.5:
                second = first
        one, two = fill(first, values, self.rng), fill(second, values2, self.rng)
        if kind == "again" or self.rng.random() < 0.25:
            two = reword(two, self.rng)
        if self.rng.random() < 0.25:
            one = reword(one, self.rng)
        if one == two:
            return None
        pair = [type_out(one, self.rng), type_out(two, self.rng)]
        self.rng.shuffle(pair)
        return pair[0], pair[1]

    def sibling(self, intent: Intent, close: bool) -> tuple[str, str]:
        """A phrasing of this intent and one of a neighbour, on demand in much the same words."""
        pairs = [
            (mine, theirs)
            for other in self.intents
            if other.group == intent.group and other is not intent
            for mine in intent.phrasings
            for theirs in other.phrasings
        ]
        if close:
            pairs.sort(key=lambda pair: -word_sets_overlap(*pair))
            pairs = pairs[:TWISTS]
        return self.rng.choice(pairs)


def compose_rows() -> list[tuple[str, str, int]]:
    """All rows with their true labels, in random order."""
    rng = random.Random(SEED)
    pairs = Pairs(rng)
    rows: list[tuple[str, str, int]] = []
    seen: set[frozenset[str]] = set()
    while len(rows) < ROWS:
        same = len(rows) < ROWS * SAME_SHARE
        if (pair := pairs.compose(same)) is None:
            continue
        key = frozenset(" ".join(re.findall(r"\w+", text.lower())) for text in pair)
        if len(key) == 2 and key not in seen:
            seen.add(key)
            rows.append((*pair, int(same)))
    rng.shuffle(rows)
    return rows


def flip_labels(rows: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """The same rows with FLIP_RATE of the labels turned around."""
    flipped = set(random.Random(SEED + 1).sample(range(len(rows)), round(len(rows) * FLIP_RATE)))
    return [(one, two, 1 - same if i in flipped else same) for i, (one, two, same) in enumerate(rows)]


def main() -> None:
    """Write the file next to this script."""
    with OUTPUT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["question1", "question2", "same"])
        writer.writerows(flip_labels(compose_rows()))


if __name__ == "__main__":
    main()
