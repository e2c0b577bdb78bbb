"""Word lists from which the generated text is made: ordinary English words, names, places and trades."""

from typing import Final


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.replace("\n", " ").split(",") if part.strip())


NOUNS: Final = _words("""
anchor apple arrow autumn badge bakery balance ball bamboo banner barrel basket beacon bell bench berry bird blanket
blossom boat bottle boundary branch bread breeze brick bridge brother bucket butter button cabin cable camera candle
canyon captain cargo carpet castle cedar chain chair chapter cheese cherry child circle citizen clock cloud coast
coffee compass copper coral corner cotton cousin cradle crane creek crown crystal curtain daughter dawn deer desert
diamond dinner doctor dragon dream drum dust eagle earth echo edge ember empire engine envelope evening eye factory
fall family farmer father feather fence fern field fire flag flame flower forest fortune fountain fox friend frost
galaxy garden gate ghost giant ginger glass glove gold grain granite grass guest guitar hammer harbor harvest hat
heart hill history home honey horizon horse house hunter ice island ivory jacket jewel journey judge jungle keeper
kettle key king kingdom kitchen kite ladder lady lake lamp lantern leaf legend lemon letter library light lily lion
machine magnet map maple marble market mask meadow memory mermaid midnight mile mill mirror moment monkey moon morning
mother motor mountain mouse museum music needle nest night north notebook oak ocean olive orange orchard orchid owl
paint palace paper parade path peach pearl pebble pencil people pepper piano picture pilot pine pioneer planet poet
pocket pond prince princess prison promise queen rabbit radio rain raven reason ribbon riddle ring river road robin
rock rocket roof room root rope rose ruby saddle sail salt sand scholar school sea season secret seed shadow shell
shelter shepherd ship shoe shore signal silence silver sister sky smoke snow soldier song sparrow spice spider spirit
spring square stable star station stone storm story stranger stream street sugar summer sun swan sword table tailor
tale teacher temple thorn thread throne thunder tide tiger timber time tower town train traveler treasure tree tribe
truth tunnel turtle valley velvet vessel village violet violin voice wagon wall walnut war water wave wedding wheel
whisper willow wind window winter wing witness wolf woman wonder wood wool world writer year yard zebra
""")

ADJECTIVES: Final = _words("""
ancient amber bitter black blind blue bold brave bright broken brown busy calm careful cheap clean clear clever cold
common cool crimson crooked cruel curious daily dark dear deep different dirty distant dry early eastern easy electric
empty endless eternal fair faithful famous fast final first flat foreign forgotten fragile free fresh frozen full
gentle golden good grand gray great green happy hard heavy hidden high hollow holy honest huge humble hungry idle
inner invisible jolly kind large last late lazy little local lonely long lost loud lovely lower lucky magic major
mighty misty modern narrow neat new nice noble northern odd old open outer painted pale patient perfect plain pleasant
polite poor pretty private proud pure quick quiet rapid rare ready red restless rich right rough round royal sacred
sad safe second secret sharp shining short silent silver simple slow small smooth soft solid southern special steady
still strange strong sudden sunny sweet tall tender thick thin third tiny tired true twisted ugly upper usual vast
warm weak western wet white wicked wide wild wise wooden yellow young
""")

VERBS: Final = _words("""
add answer arrive ask bake begin believe bend borrow break bring build burn buy call carry catch change chase choose
climb close collect cook count cross cry cut dance deliver dig draw dream drink drive eat enter explain fall feed
fight find finish fly fold follow forget forgive give grow guess hear help hide hold hunt jump keep kill know laugh
lead learn leave lift listen live lose love make meet melt mend move need open paint pay play pray pull push raise
reach read remember rest return ride rise run sail save search see sell send shine sing sit sleep speak stand start
stay steal stop study swim take talk teach tell think throw touch travel trust try turn wait wake walk want wash watch
wear win wish wonder work write
""")

FIRST_NAMES: Final = _words("""
Aaron Abdul Adam Adele Agnes Ahmed Aisha Alan Albert Alejandro Alice Alma Amara Amit Ana Andre Andrea Anika Anton
Arjun Arthur Astrid Ben Bernard Bianca Boris Brenda Bruno Camila Carl Carmen Cecilia Chen Chloe Clara Colin Cora
Daniel Daphne David Dean Deepak Diana Diego Dmitri Dora Edgar Elena Eli Elif Ella Elsa Emeka Emil Emma Eric Esther Eva
Fatima Felix Fiona Flora Frank Freya Gabriel Gemma George Gita Grace Greta Gustav Hana Hannah Harold Hassan Hector
Helen Henry Hugo Ibrahim Ida Igor Imran Ines Ingrid Irene Isaac Ivan Jack Jakob James Jane Jasmin Javier Jean Jin Joan
Joel Jonas Jose Juan Judith Julia Kai Karen Karim Kate Kenji Kevin Kofi Lara Laura Lea Leila Leo Lily Linda Liu Lola
Louis Lucas Luis Luna Magnus Malik Marco Maria Marie Mark Martin Mary Matteo Maya Mei Mia Miguel Mila Min Mona Nadia
Naomi Nina Noah Nora Oksana Olaf Olga Oliver Omar Oscar Pablo Paul Pedro Petra Philip Priya Quentin Rachel Rahul Ramon
Rania Ravi Rebecca Robert Rosa Ruth Salma Sam Samir Sandra Sara Sean Selma Simon Sofia Stefan Stella Suki Sven Tamara
Tariq Tessa Theo Tina Tom Uma Ursula Valeria Vera Victor Vikram Walter Wanda Wei Xavier Yara Yusuf Zara Zoe
""")

LAST_NAMES: Final = _words("""
Abbott Acosta Adeyemi Ahmad Allen Alvarez Anders Baker Banerjee Barnes Becker Bell Bennett Berg Bianchi Bishop Blake
Bose Bowen Brandt Brooks Burns Campos Carter Castro Chan Chavez Clarke Cohen Collins Conti Cooper Costa Cruz Dalton
Das Davies Delgado Diaz Dixon Dubois Duncan Eaton Edwards Egan Eriksen Evans Farrell Ferrari Fischer Fleming Flores
Ford Foster Fox Fraser Garcia Gibson Gomez Gordon Graham Grant Green Gupta Hall Hansen Harper Hayes Henry Herrera
Hoffman Holm Horvat Howard Hughes Hunt Ibarra Ito Ivanov Jackson Jansen Jensen Jones Joshi Kaplan Kaur Keller Kelly
Khan Kim Klein Kovacs Kumar Lambert Larsen Lee Lewis Li Lopez Lund Lynch Marino Marsh Martinez Mason Mehta Meyer
Miller Mills Moreno Morgan Mueller Murphy Nakamura Nash Nguyen Novak Oduya Olsen Ortiz Osborne Owens Palmer Park Patel
Perez Perry Peters Petrov Pham Popov Porter Quinn Ramos Reed Reyes Rossi Roy Russo Ryan Sato Schmidt Scott Sharma Shaw
Silva Singh Sokolov Soto Stein Stone Suzuki Swanson Tanaka Thomas Torres Tran Turner Varga Vega Wagner Walsh Wang Ward
Weber Weiss West White Wood Wright Xu Yamada Yang Young Zhang Zimmerman
""")

CITIES: Final = _phrases("""
Amsterdam, Athens, Auckland, Baltimore, Bangkok, Barcelona, Basel, Beijing, Belfast, Bergen, Berlin, Bogota, Boise,
Bologna, Bordeaux, Bremen, Brighton, Brisbane, Bristol, Brussels, Budapest, Buenos Aires, Cairo, Calgary, Cape Town,
Cardiff, Casablanca, Charleston, Chicago, Cincinnati, Cologne, Copenhagen, Cork, Dakar, Delhi, Denver, Dortmund,
Dresden, Dublin, Durban, Edinburgh, El Paso, Florence, Fort Worth, Frankfurt, Geneva, Genoa, Ghent, Glasgow, Grand
Rapids, Granada, Graz, Hamburg, Hanoi, Havana, Helsinki, Hong Kong, Houston, Istanbul, Jakarta, Kansas City, Karachi,
Krakow, Kuala Lumpur, Kyoto, Lagos, Las Vegas, Leeds, Leipzig, Lima, Lisbon, Liverpool, London, Los Angeles, Lyon,
Madrid, Malmo, Manchester, Manila, Marseille, Melbourne, Memphis, Mexico City, Milan, Montreal, Moscow, Mumbai,
Munich, Nairobi, Naples, New Orleans, New York, Nice, Oakland, Odessa, Osaka, Oslo, Palermo, Panama City, Paris,
Perth, Phoenix, Pittsburgh, Porto, Prague, Quebec City, Quito, Reykjavik, Riga, Rome, Rotterdam, Saint Louis, Salt
Lake City, Salzburg, San Antonio, San Jose, Santa Cruz, Santiago, Sao Paulo, Sapporo, Seattle, Seoul, Seville,
Shanghai, Singapore, Sofia, Stockholm, Stuttgart, Sydney, Taipei, Tallinn, Tampa, Tel Aviv, The Hague, Tokyo, Toronto,
Toulouse, Tucson, Tunis, Turin, Utrecht, Valencia, Vancouver, Venice, Verona, Vienna, Vilnius, Warsaw, Wellington,
Winnipeg, York, Zagreb, Zurich
""")

COUNTRIES: Final = _phrases("""
Albania, Algeria, Angola, Argentina, Armenia, Australia, Austria, Bangladesh, Belgium, Bolivia, Botswana, Brazil,
Bulgaria, Cambodia, Cameroon, Canada, Chad, Chile, China, Colombia, Costa Rica, Croatia, Cuba, Cyprus, Denmark,
Ecuador, Egypt, El Salvador, Estonia, Ethiopia, Fiji, Finland, France, Georgia, Germany, Ghana, Greece, Guatemala,
Haiti, Honduras, Hungary, Iceland, India, Indonesia, Iran, Ireland, Israel, Italy, Jamaica, Japan, Jordan, Kenya,
Kuwait, Laos, Latvia, Lebanon, Libya, Lithuania, Madagascar, Malaysia, Mali, Malta, Mexico, Moldova, Mongolia,
Morocco, Mozambique, Namibia, Nepal, Netherlands, New Zealand, Nicaragua, Niger, Nigeria, Norway, Oman, Pakistan,
Panama, Papua New Guinea, Paraguay, Peru, Philippines, Poland, Portugal, Qatar, Romania, Rwanda, Saudi Arabia,
Senegal, Serbia, Sierra Leone, Slovakia, Slovenia, Somalia, South Africa, South Korea, Spain, Sri Lanka, Sudan,
Sweden, Switzerland, Syria, Taiwan, Tanzania, Thailand, Togo, Tonga, Tunisia, Turkey, Uganda, Ukraine, United Kingdom,
United States, Uruguay, Uzbekistan, Venezuela, Vietnam, Yemen, Zambia, Zimbabwe, the UK, the USA, the Bahamas
""")

STATES: Final = _phrases("""
Alabama, Alaska, Arizona, Arkansas, California, Colorado, Connecticut, Delaware, Florida, Georgia, Hawaii, Idaho,
Illinois, Indiana, Iowa, Kansas, Kentucky, Louisiana, Maine, Maryland, Massachusetts, Michigan, Minnesota,
Mississippi, Missouri, Montana, Nebraska, Nevada, New Hampshire, New Jersey, New Mexico, New York, North Carolina,
North Dakota, Ohio, Oklahoma, Oregon, Pennsylvania, Rhode Island, South Carolina, South Dakota, Tennessee, Texas,
Utah, Vermont, Virginia, Washington, West Virginia, Wisconsin, Wyoming
""")
STATE_CODES: Final = _words("""
AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI
SC SD TN TX UT VT VA WA WV WI WY
""")

CUISINES: Final = _phrases("""
thai, italian, mexican, japanese, korean, indian, greek, turkish, lebanese, french, spanish, vietnamese, chinese,
ethiopian, moroccan, peruvian, brazilian, cuban, german, polish, russian, persian, american, southern, cajun,
mediterranean, middle eastern, caribbean, hawaiian, vegan, vegetarian, gluten free, kosher, halal, nepalese,
indonesian, portuguese, swiss, scandinavian, west african, latin american, soul food, tex mex, cantonese, austrian,
belgian, hungarian, argentinian, georgian, fusion
""")
DISHES: Final = _phrases("""
pizza, sushi, ramen, tacos, burritos, pasta, lasagna, risotto, paella, tapas, burgers, fried chicken, chicken wings,
steak, ribs, brisket, dumplings, noodles, pad thai, green curry, butter chicken, biryani, naan, falafel, hummus,
kebab, shawarma, gyros, salad, tomato soup, clam chowder, lobster, oysters, grilled salmon, fish and chips, ceviche,
pancakes, waffles, croissants, bagels, omelettes, cheesecake, apple pie, ice cream, donuts, tiramisu, crepes, poutine,
goulash, schnitzel, bratwurst, pierogi, pho, bibimbap, kimchi, teriyaki, sashimi, bento, meatballs, gnocchi, quiche,
onion rings, mac and cheese, pot roast, pulled pork, hot dogs, sandwiches, lamb chops
""")
PLACE_KINDS: Final = _phrases("""
restaurant, cafe, diner, bar, pub, bistro, brasserie, tavern, steakhouse, pizzeria, bakery, food truck, coffee shop,
gastropub, grill, buffet, tea house, ice cream parlor, brewery, deli, cafeteria, cocktail bar, noodle shop, trattoria,
wine bar, sports bar, food court, creperie, oyster bar, place, spot, joint
""")
FACILITIES: Final = _phrases("""
parking, wifi, free wifi, outdoor seating, a terrace, a pool, live music, a playground, wheelchair access, a smoking
area, a bar, room service, air conditioning, a gym, a spa, valet parking, a garden, takeaway, delivery, pet friendly
rooms, a private room, indoor
""")
SORTS: Final = _phrases("""
best, top, top rated, highly rated, cheap, cheapest, popular, good, nice, great, fancy, famous, nearest, closest,
affordable, well reviewed, most popular, highest rated, five star, decent, trendy, favorite, excellent, budget
""")
RELATIONS: Final = _phrases("""
near, close to, next to, around, nearby, within walking distance of, not far from, in the vicinity of, close by,
neighboring, by, within five miles of, ten minutes from, in the neighborhood of, adjacent to, a short drive from, far
from, across from
""")
GROUPS: Final = _phrases("""
my wife and i, my sister and me, me and my boss, my parents, the whole family, my brother, my team, two friends and i,
the kids and me, grandma and me, my husband and our son, my cousin and her friends, my colleagues, my roommates, our
clients, my aunt and uncle, me and three coworkers, all of us
""")
GENRES: Final = _phrases("""
rock, jazz, blues, country, pop, folk, metal, punk, soul, funk, reggae, techno, house, classical, opera, hip hop, rap,
indie, ambient, disco, gospel, latin, salsa, bluegrass, grunge, electronic, acoustic, r&b, swing, ska, dance, trance,
synth pop, heavy metal, new wave
""")
MUSIC_ITEMS: Final = _phrases(
    """
song, album, track, tune, artist, single, record, band, cd, ep, symphony, soundtrack, remix, melody, concerto
"""
)
PLAYLIST_WORDS: Final = _phrases("""
morning, workout, chill, party, focus, sleep, road trip, summer, study, coffee, dinner, running, gym, relax, happy,
sad, throwback, weekend, late night, rainy day, beach, office, cleaning, deep, acoustic, feel good, power, hits,
vibes, classics, jams, mix, beats, anthems, sessions, favorites, essentials, lounge, radio, tunes, grooves, mood,
energy, top 40, 90s, 80s, 2000s, unplugged, hour, club
""")
SERVICES: Final = _phrases(
    """
spotify, deezer, youtube, pandora, soundcloud, tidal, napster, itunes, apple music, bandcamp, last fm, groove
"""
)
BOOK_KINDS: Final = _phrases(
    """
book, novel, essay, textbook, chronicle, saga, series, album, poem, story, memoir, comic, biography, volume, play
"""
)
FILM_KINDS: Final = _phrases(
    """
movie, film, documentary, show, tv series, cartoon, musical, thriller, comedy, western, drama, game, trailer
"""
)
CINEMAS: Final = _phrases(
    """
the nearest cinema, movie house, the local theatre, cinema, movie theatre, the drive in, the closest movie theater
"""
)
CONDITIONS: Final = _phrases("""
rain, raining, rainy, snow, snowing, snowy, sunny, cloudy, foggy, windy, stormy, hail, sleet, thunderstorms, humid,
overcast, drizzle, freezing rain, a blizzard, clear skies, frost, lightning, wind, a hurricane, a tornado, dry,
showers, misty, mild, fog, dusty
""")
TEMPERATURES: Final = _phrases(
    """
cold, colder, hot, hotter, warm, warmer, cool, cooler, chilly, freezing, boiling, frigid, mild, icy, scorching
"""
)
PRODUCTS: Final = _phrases("""
laptop, keyboard, desk lamp, office chair, monitor, printer paper, ink cartridge, notebook, ballpoint pen, backpack,
water bottle, coffee beans, green tea, wireless mouse, usb cable, phone case, headphones, bluetooth speaker, tripod,
hard drive, router, power strip, webcam, running shoes, rain jacket, wool socks, cotton shirt, leather belt,
sunglasses, watch, yoga mat, dumbbell set, bicycle helmet, tent, sleeping bag, camping stove, frying pan, knife set,
blender, toaster, kettle, dish soap, paper towels, light bulb, extension cord, hammer, cordless drill, screwdriver,
paint roller, garden hose, flower pot, lawn mower, dog food, cat litter, toothpaste, shampoo, hand cream, olive oil,
brown rice, almond milk, orange juice, dark chocolate, steel pipe, copper wire, cement bag, plywood sheet, safety
gloves, valve, gasket, filter, hydraulic pump, bearing, pallet, shipping box, packing tape, label printer, barcode
scanner, server rack, solar panel
""")
COMPANY_WORDS: Final = _words("""
Trading Supply Foods Logistics Systems Industries Partners Holdings Solutions Electronics Textiles Motors Steel
Chemicals Media Energy Stationery Hardware Packaging Ventures Designs Consulting Print Furniture Pharma Optics Dairy
Farms Books Tools Transport Services Enterprise
""")
COMPANY_ENDS: Final = _phrases(
    """
Inc, Inc., LLC, Ltd, Ltd., GmbH, Co., AG, S.A., Corp, & Sons, & Co, Group, BV, PLC, Pty Ltd, SRL
"""
)
STREETS: Final = _phrases(
    """
Street, St, Avenue, Ave, Road, Rd, Lane, Drive, Blvd, Boulevard, Court, Way, Square, Place, Parkway, Hill, Terrace
"""
)
LANDMARKS: Final = _phrases("""
museum, train station, airport, city hall, stadium, university, national park, cathedral, library, shopping mall, old
harbor, bridge, hotel, zoo, opera house, memorial, state forest, wildlife refuge, central park, bus terminal, subway
station, historic site, castle, lighthouse
""")
DEPARTMENTS: Final = _phrases("""
sales, marketing, finance, engineering, support, legal, logistics, human resources, research, operations, purchasing,
security, design, quality
""")
PROBLEMS: Final = _phrases("""
does not turn on, arrived broken, is missing a part, keeps crashing, shows an error, was charged twice, never arrived,
is the wrong color, makes a strange noise, is too slow, cannot connect, lost all my data, overheats, will not print,
leaks, is out of stock, has a cracked screen, locked me out, asks for a password again, stopped working after the
update
""")
FOREIGN: Final = _words("""
noche luz amor vida cielo fuego mar tierra corazon sueno camino ciudad flores viento bajo las los para siempre una
otra vez mundo libre baila nuit soleil rouge belle petit jour coeur chanson rue maison avec sans toujours monde ciel
Nacht Licht Wald Stern Herz Berg Wasser Stadt Himmel und der die das von kleine alte neue Zeit notte stella mare sole
cuore strada piccolo bella vita dolce luna amore tempo
""")
LANGUAGES: Final = _words(
    """
english german french spanish italian polish dutch swedish hindi arabic japanese korean turkish greek czech welsh
"""
)
COLORS: Final = _words(
    """
red blue green black white gray silver brown yellow orange purple pink beige navy teal gold maroon
"""
)
