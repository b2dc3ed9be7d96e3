"""Puts people into the directory of a Samba that does not run: CONFIGURATION DATABASE NUMBER."""
import sys

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

configuration, database, number = sys.argv[1:]
parameters = LoadParm()
parameters.load(configuration)
samdb = SamDB(url=database, session_info=system_session(), lp=parameters)
base = samdb.domain_dn()
samdb.transaction_start()
samdb.add({"dn": "OU=People," + base, "objectClass": "organizationalUnit"})
for n in range(int(number)):
    name = "person%04d" % n
    samdb.add({
        "dn": "CN=%s,OU=People,%s" % (name, base),
        "objectClass": "user",
        "sAMAccountName": name,
        "mail": name + "@example.test",
        "proxyAddresses": ["SMTP:%s@example.test" % name, "smtp:p.%04d@example.test" % n],
    })
samdb.transaction_commit()
samdb.newuser("reader", "Reader.secret1")
