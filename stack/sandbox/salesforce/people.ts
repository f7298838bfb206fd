/** Invented people for the sandbox; the nth is always the same. All addresses are in reserved domains (RFC 2606). */
import type { JsonRecord } from '../standIn.ts';

const firstNames = ['Ada', 'Bruno', 'Chiara', 'Dmitri', 'Elif', 'Farid', 'Greta', 'Hiro', 'Ines', 'Jonas', 'Kavya'];
const lastNames = ['Almeida', 'Berger', 'Costa', 'Dubois', 'Eriksen', 'Fischer', 'Garcia', 'Haddad', 'Ito', 'Jensen'];
const cities = ['Lisbon', 'Berlin', 'Turin', 'Oslo', 'Izmir', 'Lyon', 'Vienna', 'Osaka'];
const regions = ['EMEA', 'AMER', 'APAC'];

/** Fields of the nth sample contact, from 1. */
export function sampleContact(n: number): JsonRecord {
  const first = firstNames[n % firstNames.length]!;
  const last = lastNames[n % lastNames.length]!;
  return {
    FirstName: first,
    LastName: `${last}-${n}`,
    Title: n % 3 === 0 ? 'Head of Procurement' : 'Buyer',
    Email: `${first}.${last}.${n}@example.com`.toLowerCase(),
    Phone: `+1 555 01${String(n).padStart(4, '0')}`,
    MobilePhone: `+1 555 02${String(n).padStart(4, '0')}`,
    MailingCity: cities[n % cities.length]!,
    Region__c: regions[n % regions.length]!,
    Territory__c: `T-${String(n % 12).padStart(2, '0')}`,
    Health_Score__c: (n * 7) % 100,
  };
}
