"""Two hundred common family names of many languages, in Latin letters as headers and devices have them."""

SURNAMES = tuple(
    """
    smith jones williams taylor brown davies evans wilson thomas johnson roberts robinson thompson wright walker white
    edwards hughes green lewis wood harris martin jackson clarke clark turner cooper morris ward moore morgan phillips
    müller schmidt schneider fischer weber meyer wagner becker schulz hoffmann koch bauer richter klein wolf schröder
    dubois moreau laurent simon michel lefebvre leroy roux bertrand morel fournier girard bonnet dupont lambert
    rossi russo ferrari esposito bianchi romano colombo ricci marino greco bruno gallo conti deluca costa giordano
    garcía rodríguez martínez hernández lópez gonzález pérez sánchez ramírez torres flores rivera gómez díaz ortiz
    silva santos oliveira souza pereira lima ferreira alves ribeiro carvalho
    ivanov smirnov kuznetsov popov sokolov lebedev kozlov novikov morozov petrov volkov
    nowak kowalski wiśniewski wójcik kamiński lewandowski zieliński szymański woźniak
    novák svoboda dvořák horváth nagy szabó kovács tóth varga popescu ionescu
    de-jong jansen bakker visser smit meijer mulder bos peeters maes
    andersson johansson karlsson nilsson hansen olsen larsen korhonen virtanen mäkinen
    papadopoulos dimitriou yildiz kaya demir çelik şahin öztürk arslan
    wang zhang chen yang huang zhao zhou xu sun zhu lin guo luo liang
    kim park choi jung kang yoon tanaka suzuki takahashi watanabe yamamoto nakamura kobayashi
    nguyen tran pham hoang phan dang bui singh sharma patel kumar gupta khan ahmed hassan ali ibrahim
    okafor adeyemi mensah abebe tesfaye okonkwo haddad cohen levy mizrahi friedman
    """.split()  # noqa: SIM905 - to be read as words
)
"""Real words all; which of them are common is from memory, and how common says nothing here."""
